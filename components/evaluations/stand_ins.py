"""Stand-ins for the tasks of the paper's Table 3, made of held-out prose by rules.

Each has the form of the task that it stands in for: as many answers, and the same kind of request.
None is that task, and scores compare with no published ones. Items are made of pairs of
neighbouring sentences of a document, no sentence in two pairs. Wrong answers are drawn among texts
of the right ones' kind, so that their length says nothing; right ones stand at each place in turn.

| task | its question | right | wrong |
|:--|:--|:--|:--|
| boolq | a pair, and whether a word is in it | yes and no in turn | |
| piqa | a sentence | the next one | its words in another order |
| social_iqa | a sentence | the next one | two from other documents |
| hellaswag | a sentence and half of the next one | the other half | three such halves |
| winogrande | a pair with a gap in place of a word | the word | a word of another document |
| arc_easy | a sentence without its last word | the word | last words of other documents |
| arc_challenge | a pair without its last word | the word | three other words of the pair |
| openbookqa | a sentence | the next one | three from the same document |
| mmlu | as arc_easy, by domain | the word's letter, A to D | the other letters |
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from components.evaluations.last_word import LETTERS, STOP
from components.evaluations.passages import WORD, sentences
from components.evaluations.questions import Material
from components.registry import ComponentError

USUAL = ("book", "c4", "commoncrawl", "wikipedia")
ENDING = "_stand_in"
"""the names of stand-ins end so"""
ITEMS, FEWEST = 200, 100  # of a task, at most and at least; of mmlu's, of each domain at most
SHOTS = 5  # examples of mmlu, of each domain; they are no items
WORDS = range(5, 40)  # of a sentence
SHARE = 3  # a sentence has at most such a part of the context
DRAWS = 20  # other sentences that are looked at for each wrong answer
VERSION = 1
Record = Mapping[str, Any]


class StandIn(NamedTuple):
    """A task as the harness reads it, or a group of tasks."""

    name: str
    config: Mapping[str, Any]
    """the content of its YAML file, without the place of its data"""
    records: Mapping[str, Sequence[Record]]
    """its data by split; none of a group"""


class Pair(NamedTuple):
    """Two neighbouring sentences."""

    first: str
    second: str
    document: str
    near: Sequence[str]
    """other sentences of the document"""

    @property
    def beginning(self) -> str:
        """Return the second sentence without its last word."""
        return self.second.rpartition(" ")[0]

    @property
    def last(self) -> str:
        """Return the last word of the second sentence."""
        return self.second.split()[-1].removesuffix(".")

    @property
    def rest(self) -> str:
        """Return the second half of the words of the second sentence."""
        parts = self.second.split()
        return " ".join(parts[len(parts) // 2 :])


Maker = Callable[[Pair, Sequence[Pair], int, Random], Record | None]
"""makes an item of a pair, whose right answer is at that place; None where it has none"""


def stand_ins(material: Material, domains: Sequence[str], seed: int) -> list[StandIn]:
    """Return all stand-ins, made of held-out text.

    Raises ComponentError where the text has too few sentences that fit into the context.
    """
    by_domain = {
        domain: [pair for number, text in enumerate(texts) for pair in _pairs(text, f"{domain} {number}", material)]
        for domain, texts in material.of(domains, USUAL).items()
    }
    every = [pair for pairs in by_domain.values() for pair in pairs]
    found = [_task(f"{name}{ENDING}", name, every, seed) for name in MAKERS]
    subjects = [_subject(f"mmlu{ENDING}_{domain}", pairs, seed) for domain, pairs in by_domain.items()]
    subjects = [one for one in subjects if one.records["test"]]
    sizes = {one.name: len(one.records["test"]) for one in found}
    sizes[f"mmlu{ENDING}"] = sum(len(one.records["test"]) for one in subjects)
    if few := [name for name, size in sizes.items() if size < FEWEST]:
        raise ComponentError(
            f"{few[0]}: the held-out text makes {sizes[few[0]]} items of neighbouring sentences of at most "
            f"{material.context // SHARE} tokens, and {FEWEST} are needed; a longer `context` allows longer sentences"
        )
    group = {
        "group": f"mmlu{ENDING}",
        "task": [one.name for one in subjects],
        "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}],
        "metadata": {"version": VERSION},
    }
    return [*found, *subjects, StandIn(f"mmlu{ENDING}", group, {})]


def _pairs(text: str, document: str, material: Material) -> list[Pair]:
    """Return the pairs of a document that can be asked about: they end in a word that says much."""
    lines = [*sentences(text)]
    sizes = material.tokens([f" {line}" for line in lines])
    fits = [_is_plain(line) and size <= material.context // SHARE for line, size in zip(lines, sizes, strict=True)]
    fitting = [line for line, fit in zip(lines, fits, strict=True) if fit]
    found: list[Pair] = []
    place = 0
    while place + 1 < len(lines):
        if fits[place] and fits[place + 1] and _says_much(lines[place + 1].split()[-1][:-1]):
            near = [line for line in fitting if line not in lines[place : place + 2]]
            found.append(Pair(lines[place], lines[place + 1], document, near))
            place += 1
        place += 1
    return found


def _is_plain(line: str) -> bool:
    return len(line.split()) in WORDS and line[:1].isupper() and line[-1:] == "."


def _says_much(word: str) -> bool:
    return len(word) >= LETTERS and word.isalpha() and word.islower() and word not in STOP


def _telling(text: str) -> list[str]:
    """Return the words of a text that say much, each once."""
    return [*dict.fromkeys(word for word in WORD.findall(text) if _says_much(word))]


def _placed(right: str, wrong: Sequence[str], place: int) -> list[str]:
    """Return all answers, the right one at its place."""
    return [*wrong[:place], right, *wrong[place:]]


def _elsewhere(pair: Pair, pairs: Sequence[Pair], many: int, random: Random) -> list[Pair]:
    """Return pairs of other documents."""
    drawn = random.sample(pairs, min(len(pairs), DRAWS * many))
    return [other for other in drawn if other.document != pair.document]


def _differing(right: str, others: Sequence[str], many: int) -> list[str]:
    """Return the first texts that differ from the right one and each other; fewer if there are."""
    return [text for text in dict.fromkeys(others) if text != right][:many]


def _boolq(pair: Pair, pairs: Sequence[Pair], place: int, random: Random) -> Record | None:
    passage = f"{pair.first} {pair.second}"
    strange = [word for other in _elsewhere(pair, pairs, 1, random) for word in _telling(other.second)]
    words = _telling(passage) if place else [word for word in strange if word not in passage.lower()]
    if not words:
        return None
    return {"passage": passage, "question": f"is the word {random.choice(words)} in this text", "label": place}


def _piqa(pair: Pair, pairs: Sequence[Pair], place: int, random: Random) -> Record | None:
    first, *inner, last = pair.second.split()
    mixed = " ".join([first, *random.sample(inner, len(inner)), last])
    if mixed == pair.second:
        return None
    sol1, sol2 = _placed(pair.second, [mixed], place)
    return {"goal": pair.first, "sol1": sol1, "sol2": sol2, "label": place}


def _social_iqa(pair: Pair, pairs: Sequence[Pair], place: int, random: Random) -> Record | None:
    wrong = _differing(pair.second, [one.second for one in _elsewhere(pair, pairs, 2, random)], 2)
    answers = _placed(pair.second, wrong, place)
    record = {"context": pair.first, "question": "What comes next?", "answers": answers, "label": place}
    return record if len(wrong) == 2 else None


def _hellaswag(pair: Pair, pairs: Sequence[Pair], place: int, random: Random) -> Record | None:
    query = f"{pair.first} {pair.second.removesuffix(pair.rest).strip()}"
    wrong = _differing(pair.rest, [one.rest for one in _elsewhere(pair, pairs, 3, random)], 3)
    return _choices("query", query, pair.rest, wrong, place)


def _winogrande(pair: Pair, pairs: Sequence[Pair], place: int, random: Random) -> Record | None:
    parts = pair.second.split()
    gaps = [gap for gap in range(1, len(parts) - 1) if _says_much(parts[gap])]
    strange = [word for other in _elsewhere(pair, pairs, 1, random) for word in _telling(other.second)]
    strange = [word for word in strange if word not in parts]
    if not gaps or not strange:
        return None
    gap = random.choice(gaps)
    begun = " ".join([pair.first, *parts[:gap]])
    filled = [f"{begun} {word}" for word in _placed(parts[gap], [random.choice(strange)], place)]
    return {"filled": filled, "ending": " ".join(parts[gap + 1 :]), "label": place}


def _arc_easy(pair: Pair, pairs: Sequence[Pair], place: int, random: Random) -> Record | None:
    wrong = _differing(pair.last, [one.last for one in _elsewhere(pair, pairs, 3, random)], 3)
    return _choices("question", pair.beginning, pair.last, wrong, place)


def _arc_challenge(pair: Pair, pairs: Sequence[Pair], place: int, random: Random) -> Record | None:
    text = f"{pair.first} {pair.beginning}"
    near = [word for word in _telling(text) if word != pair.last]
    return _choices("question", text, pair.last, random.sample(near, min(3, len(near))), place)


def _openbookqa(pair: Pair, pairs: Sequence[Pair], place: int, random: Random) -> Record | None:
    wrong = _differing(pair.second, random.sample(pair.near, min(DRAWS, len(pair.near))), 3)
    return _choices("question_stem", pair.first, pair.second, wrong, place)


def _choices(key: str, question: str, right: str, wrong: Sequence[str], place: int) -> Record | None:
    return {key: question, "choices": _placed(right, wrong, place), "label": place} if len(wrong) == 3 else None


MAKERS: Mapping[str, tuple[Maker, int]] = {
    "boolq": (_boolq, 2),
    "piqa": (_piqa, 2),
    "social_iqa": (_social_iqa, 3),
    "hellaswag": (_hellaswag, 4),
    "winogrande": (_winogrande, 2),
    "arc_easy": (_arc_easy, 4),
    "arc_challenge": (_arc_challenge, 4),
    "openbookqa": (_openbookqa, 4),
}
"""what makes the items of each task but mmlu, and how many answers they have"""
QUESTION = "Question: {{question}}\nAnswer:"
LETTERED = "{{question}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:"
PROMPTS: Mapping[str, Mapping[str, Any]] = {
    "boolq": {"doc_to_text": "{{passage}}\nQuestion: {{question}}?\nAnswer:", "doc_to_choice": ["no", "yes"]},
    "piqa": {"doc_to_text": "Question: {{goal}}\nAnswer:", "doc_to_choice": "{{[sol1, sol2]}}"},
    "social_iqa": {"doc_to_text": "Q: {{context}} {{question}}\nA:", "doc_to_choice": "answers"},
    "hellaswag": {"doc_to_text": "Text: {{query}}", "doc_to_choice": "choices"},
    "winogrande": {"doc_to_text": "label", "doc_to_choice": "filled", "doc_to_target": "ending"},
    "arc_easy": {"doc_to_text": QUESTION, "doc_to_choice": "choices"},
    "arc_challenge": {"doc_to_text": QUESTION, "doc_to_choice": "choices"},
    "openbookqa": {"doc_to_text": "Fact: {{question_stem}}", "doc_to_choice": "choices"},
    "mmlu": {
        "doc_to_text": LETTERED,
        "doc_to_choice": ["A", "B", "C", "D"],
        "fewshot_split": "dev",
        "fewshot_config": {"sampler": "first_n"},
    },
}
"""the words of each task's questions, as the harness fills them in

None is another's, cut elsewhere: the harness's own model of transformers mixes such questions up.
"""
BY_LENGTH = ("piqa", "hellaswag", "arc_easy", "arc_challenge", "openbookqa")
"""tasks that are scored by length, too"""


def _task(name: str, like: str, pairs: Sequence[Pair], seed: int) -> StandIn:
    return StandIn(name, _config(name, like), {"test": _items(name, like, pairs, seed, ITEMS)})


def _subject(name: str, pairs: Sequence[Pair], seed: int) -> StandIn:
    """Return the part of mmlu that is made of a domain."""
    found = _items(name, "arc_easy", pairs, seed, SHOTS + ITEMS)
    return StandIn(name, _config(name, "mmlu"), {"dev": found[:SHOTS], "test": found[SHOTS:]})


def _items(name: str, like: str, pairs: Sequence[Pair], seed: int, most: int) -> list[Record]:
    random, (make, answers) = Random(f"{seed} {name}"), MAKERS[like]
    found: dict[str, Record] = {}  # by question: none is asked twice
    for pair in random.sample(pairs, len(pairs)):
        if len(found) < most and (item := make(pair, pairs, len(found) % answers, random)):
            question, *_ = item.values()
            found.setdefault(str(question), item)
    return [*found.values()]


def _config(name: str, like: str) -> dict[str, Any]:
    metrics = ["acc", "acc_norm"] if like in BY_LENGTH else ["acc"]
    return {
        "task": name,
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_target": "label",
        **PROMPTS[like],
        "metric_list": [{"metric": one, "aggregation": "mean", "higher_is_better": True} for one in metrics],
        "metadata": {"version": VERSION},
    }
