"""Last words (LAMBADA: Paperno et al. 2016, 1606.06031; 2504.00927, Table 4).

The last word of a passage is asked for. In LAMBADA, people guess it from the passage, and not from
its last sentence. LAMBADA itself is read from a file. Without one, a stand-in is made of held-out
text by rules: a passage ends in a word that stands in an earlier sentence of it, and nowhere else
in the last one. The stand-in is no LAMBADA, and its scores are compared with no published ones.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from components.evaluations.passages import CLOSING, sentences, words
from components.evaluations.questions import Answer, Asked, Material, Question, TextEvaluation
from components.metrics import Metric
from components.registry import ComponentError, register

USUAL = ("book", "commoncrawl", "wikipedia")
LETTERS = 4  # of a last word, at least
WORDS_BEFORE = 3  # of the last word in its sentence, at least
STOP = frozenset(
    words(
        """about above after again against almost along already also although always among another anyone anything
        around away back because become been before began behind being below between both came cannot come could does
        doing done down during each either else enough even ever every everyone everything from further gave give goes
        going gone have having hence here hers herself himself however indeed instead into itself just keep kept knew
        know known less like likely made make many might mine more most much must myself near neither never next
        nobody none nothing often once only onto other others ours ourselves over perhaps quite rather really said
        same seem seemed shall should since some somebody someone something soon still such take taken than that thee
        their theirs them themselves then there these they thing things think this those thou though thought three
        through thus together told took toward towards under until unto upon used very want well went were what when
        where whether which while whom whose will with within without would your yours yourself"""
    )
)
"""words that say little of what a passage is about, and are no last words"""
_LAST = re.compile(rf"^(?P<before>.*\S)\s+(?P<word>[A-Za-z]{{{LETTERS},}})[.!?]?{CLOSING}$")
_END = re.compile(rf"[.!?]{CLOSING}\s+")

PERPLEXITY = Metric(name="last_word_perplexity", estimator="log_ratio", least=1.0)
ACCURACY = Metric(name="last_word_accuracy", estimator="proportions", higher_is_better=True, most=1.0)
ALONE = Metric(name="last_word_perplexity_of_sentence_alone", estimator="log_ratio", least=1.0)


@register("evaluations", "last_word")
class LastWord(TextEvaluation):
    """The last word of a passage: its perplexity, and how often it is the most likely text.

    Perplexity is exp of the mean loss of whole words, not of tokens; the last word counts as right
    if each of its tokens is the most likely one, given those before it. Beside it stands the
    perplexity given the last sentence alone: the ratio of the two shows the use of context.
    """

    metric: ClassVar[Metric] = PERPLEXITY
    further: ClassVar[tuple[Metric, ...]] = (ACCURACY, ALONE)
    reads: ClassVar[tuple[str, ...]] = ("text",)

    path: str | None = None
    """LAMBADA itself, in either version: a file of JSON lines, each with a `text`"""
    samples: int = 5000
    """most passages of a domain"""
    sentences: int = 5
    """most sentences of a passage, the last one with them; where the context is short, it has as
    many as fit"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("samples", 1), ("sentences", 2)):
            if getattr(self, name) < least:
                raise ComponentError(f"{name}: got {getattr(self, name)}, allowed: {least} or more")

    def ask(self, material: Material) -> Asked:
        if self.path is not None:
            return Asked([one for record in material.records[""] for one in _of_file(record["text"])])
        found: list[Question] = []
        for domain, documents in material.of(self.domains, USUAL).items():
            passages = [one for document in documents for one in self._passages(document, material)]
            chosen = random.Random(self.seed).sample(passages, min(self.samples, len(passages)))
            found += [one for passage in chosen for one in _both(f"stand-in from {domain}", *passage)]
        if not found:
            raise ComponentError(f"no passage of at most {material.context} tokens ends in a word as the rules want it")
        return Asked(found)

    def measure(self, question: Question, answers: Sequence[Answer]) -> Mapping[str, float]:
        (answer,) = answers
        if question.kind == "alone":
            return {ALONE.name: -answer.log_probability}
        return {PERPLEXITY.name: -answer.log_probability, ACCURACY.name: float(answer.greedy)}

    def _passages(self, document: str, material: Material) -> Iterator[tuple[str, str, str]]:
        """Yield what stands before the last sentence, what before its last word, and that word.

        No sentence is in two passages.
        """
        lines = [*sentences(document)]
        sizes = material.tokens([f" {line}" for line in lines])
        free = 0  # the first sentence that is in no passage yet
        for place, line in enumerate(lines):
            first = place
            room = material.context - sizes[place] - 2
            while first > free and place - first < self.sentences - 1 and sizes[first - 1] <= room:
                first -= 1
                room -= sizes[first]
            if room >= 0 and first < place and (ending := last_word(" ".join(lines[first:place]), line)):
                yield " ".join(lines[first:place]), *ending
                free = place + 1


def last_word(earlier: str, sentence: str) -> tuple[str, str] | None:
    """Return what stands before a sentence's last word, and that word; None if it is not asked for.

    It has four letters at least, is no stop word, stands in the earlier sentences, and once in its
    own.
    """
    match = _LAST.match(sentence)
    if match is None:
        return None
    before, word = match["before"], match["word"]
    here, low = words(before), word.lower()
    fits = low not in STOP and low not in here and len(here) >= WORDS_BEFORE and low in words(earlier)
    return (before, word) if fits else None


def _of_file(text: str) -> Iterator[Question]:
    """Yield the questions of a passage as it is read from a file: split at single blanks."""
    context, _, word = text.rpartition(" ")
    ends = [*_END.finditer(context)]
    cut = ends[-1].end() if ends else 0
    yield from _both("LAMBADA", context[:cut].rstrip(" "), context[cut:], word)


def _both(group: str, earlier: str, before: str, word: str) -> Iterator[Question]:
    """Yield a question with the whole passage, and one with its last sentence alone."""
    guesses = _guesses(f"{earlier} {before}", word)
    yield Question(group, f"{earlier} {before}".strip(" "), (f" {word}",), guesses=guesses)
    yield Question(group, before, (f" {word}",), kind="alone")


def _guesses(text: str, word: str) -> dict[str, float]:
    """Return how often words of the passage are the last one: any at random, and the commonest."""
    found = Counter(one for one in words(text) if len(one) >= LETTERS and one not in STOP)
    low, (commonest, _) = word.lower(), found.most_common(1)[0] if found else ("", 0)
    chance = 1 / len(found) if low in found else 0.0
    return {"any word of the passage": chance, "its commonest word": float(commonest == low)}
