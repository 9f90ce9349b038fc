"""Facts in a long text (BabiLong: Kuratov et al. 2024, 2406.10149; 2504.00927, Figures 5 and 7).

Worlds of our own (`worlds`) are told in held-out text, as BabiLong scatters bAbI's facts in books.
The benchmark itself is read from a folder. A model that was never instructed is asked in two ways:
by likelihood, whether the right label is the most likely one of those that the question does not
name, and by its first word, whether greedy decoding writes the right label.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import ClassVar

from components.evaluations import worlds
from components.evaluations.passages import words
from components.evaluations.questions import Answer, Asked, Exercise, Material, Question, TextEvaluation
from components.evaluations.scattering import Filler, scattered
from components.metrics import Metric
from components.registry import ComponentError, register

USUAL = ("book", "commoncrawl", "wikipedia")
ROOMS = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
BENCHMARK = {task: ROOMS for task in range(1, 5)} | {5: ("Bill", "Fred", "Jeff", "Mary", "apple", "football", "milk")}
"""answers of bAbI's tasks"""
SPARE = 4  # tokens, for the seams between texts that are counted apart
DRAWS = 20  # stories for each that is asked; most may be too long

BY_LIKELIHOOD = Metric(name="babilong_by_likelihood", estimator="proportions", higher_is_better=True, most=1.0)
FIRST_WORD = Metric(name="babilong_first_word", estimator="proportions", higher_is_better=True, most=1.0)


@register("evaluations", "babilong")
class BabiLong(TextEvaluation):
    """Questions on facts that are scattered in a long text: by likelihood, and by first word.

    Task 1 takes one fact, task 2 two, task 3 three, task 4 relates two places, task 5 three things.
    """

    metric: ClassVar[Metric] = BY_LIKELIHOOD
    further: ClassVar[tuple[Metric, ...]] = (FIRST_WORD,)
    reads: ClassVar[tuple[str, ...]] = ("input", "question", "target")

    path: str | None = None
    """the benchmark's own files: a folder with qaN/LENGTH.json, like qa1/4k.json, or
    with Parquet files of these parts, as a hub lays them out; all their questions are asked"""
    tasks: tuple[int, ...] = (1, 2, 3, 4, 5)
    """tasks that are asked, of 1 to 5"""
    distraction: tuple[int, ...] = (0, 1000, 2000, 4000)
    """tokens of other text around the facts; of the benchmark's files, its lengths:
    1000 is 1k"""
    samples: int = 100
    """questions of each task and distraction"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in (("tasks", range(1, 6)), ("distraction", range(1 << 20))):
            given: Sequence[int] = getattr(self, name)
            if not given or not {*given} <= {*allowed} or len({*given}) < len(given):
                said = "some of 1 to 5, each once" if name == "tasks" else "numbers of 0 or more, each once"
                raise ComponentError(f"{name}: got {list(given)}, allowed: {said}")
        if self.path is not None and any(length % 1000 for length in self.distraction):
            raise ComponentError(f"distraction: got {list(self.distraction)}, allowed for files: thousands")
        if self.samples < 1:
            raise ComponentError(f"samples: got {self.samples}, allowed: 1 or more")

    def files(self) -> Sequence[str]:
        return [f"qa{task}/{length // 1000}k" for task in self.tasks for length in self.distraction]

    def ask(self, material: Material) -> Asked:
        if self.path is not None:
            return Asked([one for name in self.files() for one in _of_file(name, material.records[name])])
        filler = Filler(material.of(self.domains, USUAL).values(), material, worlds.label_words())
        found = {
            (task, length): self._own(task, length, filler, material)
            for task in self.tasks
            for length in self.distraction
        }
        questions = [question for made in found.values() for question in made]
        if not questions:
            shortest = min(self.distraction)
            raise ComponentError(f"no story with {shortest} tokens around it fits into {material.context} tokens")
        notes = (
            self._shortage(length, {task: len(found[task, length]) for task in self.tasks}, material.context)
            for length in self.distraction
        )
        return Asked(questions, [note for note in notes if note])

    def exercises(self, material: Material, asked: int) -> Callable[[Random], Exercise]:
        """Return what draws stories that are asked about as they are told, as bAbI's own are."""
        if self.path is not None:
            raise ComponentError(f"path: got '{self.path}', allowed for exercises: null, as worlds of our own are told")
        filler = Filler(material.of(self.domains, USUAL).values(), material, worlds.label_words())

        def exercise(random: Random) -> Exercise:
            for _ in range(DRAWS):
                told = worlds.story(random.choice(self.tasks), random)[:asked]
                made = _told(told, random.choice(self.distraction), filler, random)
                while made and sum(material.tokens([text for part in made for text in part])) > material.context:
                    made.pop()
                if made:
                    return made
            raise ComponentError(f"no story of tasks {list(self.tasks)} fits into {material.context} tokens")

        return exercise

    def measure(self, question: Question, answers: Sequence[Answer]) -> Mapping[str, float]:
        likeliest = max(range(len(answers)), key=lambda place: answers[place].log_probability)
        return {
            BY_LIKELIHOOD.name: float(likeliest == question.right),
            FIRST_WORD.name: float(answers[question.right].written),
        }

    def _shortage(self, length: int, fitting: Mapping[int, int], context: int) -> str:
        """Return a note on the tasks that have too few stories of a length; empty without any."""
        few = {task: number for task, number in fitting.items() if number < self.samples}
        if not any(fitting.values()):
            return f"{length:,} tokens around: no story fits into {context:,} tokens"
        by_task = ", ".join(f"{number} of task {task}" for task, number in few.items())
        return (
            f"{length:,} tokens around: of {self.samples} stories each, {by_task} fit into {context:,} tokens"
            if few
            else ""
        )

    def _own(self, task: int, length: int, filler: Filler, material: Material) -> list[Question]:
        """Return questions of our own worlds that fit into the context; fewer where few do."""
        random = Random(f"{self.seed} {task} {length}")
        made: list[Question] = []
        labels = worlds.LABELS[task]
        longest = max(material.tokens([f" {label}" for label in labels]))
        room = material.context - length - longest - SPARE
        for _ in range(DRAWS * self.samples if room > 0 else 0):
            asked = worlds.story(task, random)
            if not asked:
                continue
            statements, question, answer, _ = random.choice(asked)  # one of each story: they are independent
            if sum(material.tokens([" ".join(statements), _prompt("", question)])) > room:
                continue
            text = scattered(statements, filler.draw(length, random) if length else (), random)
            made.append(_question(_group(task, length), text, question, answer, labels))
            if len(made) == self.samples:
                break
        return _with_commonest(made)


def _told(told: Sequence[worlds.Told], length: int, filler: Filler, random: Random) -> list[tuple[str, str]]:
    """Return a story's questions, each behind what is told since the one before, and answers.

    So many tokens of other text stand around all of its statements.
    """
    parts, start, begin = [], 0, ""
    for one in told:
        around = filler.draw(length // len(told), random) if length // len(told) else ()
        text = scattered(one.statements[start:], around, random)
        parts.append((f"{begin}{_prompt(text, one.question)}", f" {one.answer}"))
        start, begin = len(one.statements), "\n"
    return parts


def _group(task: int, length: int) -> str:
    return f"task {task}, {length:,} tokens around"


def _of_file(name: str, records: Sequence[Mapping[str, str]]) -> list[Question]:
    """Return the questions of one of the benchmark's files, named like `qa1/4k`."""
    task, length = re.findall(r"\d+", name)
    labels = BENCHMARK[int(task)]
    made = []
    for record in records:
        if record["target"] not in labels:
            allowed = ", ".join(labels)
            raise ComponentError(f"path: {name}: got the target '{record['target'][:40]}', allowed: {allowed}")
        made.append(_question(f"task {task}, {length}k", record["input"], record["question"], record["target"], labels))
    return _with_commonest(made)


def _prompt(text: str, question: str) -> str:
    return f"{text}\nQuestion: {question.strip()}\nAnswer:"


def _question(group: str, text: str, question: str, answer: str, labels: Sequence[str]) -> Question:
    """Return a question whose answers are the labels that it does not name itself."""
    named = {*words(question)}
    left = [label for label in labels if label == answer or label.lower() not in named]
    mentioned = [word for word in words(text) if word in {label.lower() for label in left}]
    return Question(
        group=group,
        prompt=_prompt(text.strip(), question),
        answers=tuple(f" {label}" for label in left),
        right=left.index(answer),
        guesses={
            "any label at random": 1 / len(left),
            "the label mentioned last": float(mentioned[-1:] == [answer.lower()]),
        },
    )


def _with_commonest(questions: Sequence[Question]) -> list[Question]:
    """Return questions that also know whether theirs is the commonest answer of them all."""
    right = [question.answers[question.right] for question in questions]
    commonest = Counter(right).most_common(1)[0][0] if right else ""
    return [
        one._replace(guesses={**one.guesses, "the commonest answer": float(answer == commonest)})
        for one, answer in zip(questions, right, strict=True)
    ]
