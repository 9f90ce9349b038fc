"""The contract of an evaluation that asks questions of its own: a text, and its possible answers.

A finished model is asked; what it answers is a probability for each answer, and whether it would
have written that answer by itself. Text and files are handed in, so that a component reads neither
disk nor network.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, NamedTuple

from torch import Tensor

from components.evaluations.base import Evaluation, Predicted
from components.metrics import Metric, declare
from components.registry import ComponentError


class Question(NamedTuple):
    """A text, and what may follow it."""

    group: str
    """questions of a group have a score together; parts of its name are separated by ', '"""
    prompt: str
    answers: tuple[str, ...]
    """texts that may follow the prompt, each with the blank before it"""
    right: int = 0
    """index of the right answer"""
    guesses: Mapping[str, float] = {}
    """probability that a reader who knows nothing of the kind is right, by name of the floor"""
    kind: str = ""
    """tells questions apart that are measured in different ways"""


class Answer(NamedTuple):
    """A model's judgement of one possible answer."""

    log_probability: float
    """of all its tokens, given the prompt, in nats"""
    greedy: bool
    """True if each token is the most likely one, given those before it"""
    ends: bool
    """True if the most likely token after it begins another word"""

    @property
    def written(self) -> bool:
        """Return whether greedy decoding writes exactly this answer and then ends the word."""
        return self.greedy and self.ends


@dataclass(frozen=True, kw_only=True)
class Material:
    """The makings of questions; they are the same for all runs on a text."""

    documents: Mapping[str, Sequence[str]]
    """held-out documents by domain"""
    tokens: Callable[[Sequence[str]], Sequence[int]]
    """returns the number of tokens of each text"""
    context: int
    """tokens that a prompt and its answer may have together"""
    records: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    """content of the user's files, by the names that `files` asks for"""

    def of(self, domains: Sequence[str], usual: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the documents of some domains.

        No names mean the usual ones; of a text that has none of these, they mean all.

        Raises:
            ComponentError: the text has no such domain.
        """
        if unknown := [name for name in domains if name not in self.documents]:
            allowed = ", ".join(self.documents)
            raise ComponentError(f"domains: got '{unknown[0]}', allowed: domains of the text: {allowed}")
        names = domains or [name for name in usual if name in self.documents] or [*self.documents]
        return {name: self.documents[name] for name in names}


Exercise = Sequence[tuple[str, str]]
"""a text to learn from: its parts, each with the answer that follows it"""


class Asked(NamedTuple):
    """The questions of an evaluation."""

    questions: Sequence[Question]
    notes: Sequence[str] = ()
    """remarks on what was left out, each a clause"""


@dataclass(frozen=True, kw_only=True)
class TextEvaluation(Evaluation):
    """Base of the evaluations that ask questions of their own."""

    further: ClassVar[tuple[Metric, ...]] = ()
    """metrics besides `metric`"""
    reads: ClassVar[tuple[str, ...]] = ()
    """texts that each record of a user's file has; none where it takes no file"""

    path: str | None = None
    """a file or folder with questions of somebody else's"""
    domains: tuple[str, ...] = ()
    """domains of the held-out text that is used; empty: those of running prose, or of a text that
    has none of these, all"""
    context: int = 0
    """most tokens of a question with its answer; 0: what the model was trained on"""
    seed: int = 0
    """the number from which all that is random is drawn"""

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        for metric in vars(cls).get("further", ()):
            declare(metric)

    def __post_init__(self) -> None:
        if self.path is not None and not self.reads:
            raise ComponentError(f"path: got '{self.path}', allowed: null, as {self.name} makes its questions itself")
        for name in ("context", "seed"):
            if getattr(self, name) < 0:
                raise ComponentError(f"{name}: got {getattr(self, name)}, allowed: 0 or more")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return all that it measures; rows are compared by the first."""
        return (self.metric, *self.further)

    def files(self) -> Sequence[str]:
        """Return the files that it reads below `path`, without their endings.

        The default, '', is the file `path` itself.
        """
        return ("",)

    @abstractmethod
    def ask(self, material: Material) -> Asked:
        """Return the questions: the same ones for the same settings and material.

        Raises ComponentError where none can be made.
        """

    def exercises(self, material: Material, asked: int) -> Callable[[Random], Exercise]:
        """Return what draws exercises of its kind, to train on, from other text than it asks about.

        An exercise has at most `asked` answers, and fits into the context. Here it is one of the
        questions that can be made of the material, with its right answer.

        Raises ComponentError where none can be made.
        """
        questions = self.ask(material).questions

        def exercise(random: Random) -> Exercise:
            question = random.choice(questions)
            return [(question.prompt, question.answers[question.right])]

        return exercise

    @abstractmethod
    def measure(self, question: Question, answers: Sequence[Answer]) -> Mapping[str, float]:
        """Return what an answered question contributes to each metric, by name.

        It is 0 to 1 for a share, and nats for a metric of ratios, whose score is exp of their mean.
        """

    def values(self, predicted: Predicted) -> Tensor:
        """Refuse to score other predictions than the answers to its questions."""
        raise ComponentError(f"{self.name} asks a finished model: type mta-lab evaluate SWEEP --on {self.name}")
