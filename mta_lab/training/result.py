"""The progress and the result of a training run. Plain data: it crosses process borders."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from components.metrics import Scores


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Scores on what is held out, the same for every run of a task, after `step` optimizer steps."""

    step: int
    quantity: str
    """the name of the metric that the scores are of"""
    domains: Mapping[str, float]
    """a score for each domain"""
    scored: Mapping[str, int] = field(default_factory=dict)
    """how many tokens or sequences each score is over"""
    further: Mapping[str, Scores] = field(default_factory=dict)
    """what the run's other evaluations came to, by metric"""

    @property
    def evaluations(self) -> Mapping[str, Scores]:
        """Return what all evaluations came to, by metric; the first is the one that runs are compared by."""
        return {self.quantity: Scores(domains=self.domains, scored=self.scored), **self.further}

    @property
    def score(self) -> float:
        """The plain mean over the domains, as the paper averages."""
        return sum(self.domains.values()) / len(self.domains)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a run: training loss in nats a token (mean since the last report), and a validation if any."""

    step: int
    loss: float
    validation: Validation | None = None
    implementations: Mapping[str, str] = field(default_factory=dict)
    """what computes the attention: name -> why"""


Report = Callable[[Progress], bool]
"""called as a run goes on; true means: stop here"""


class InterruptedRunError(Exception):
    """A run ended where it was, as asked; the same run goes on from `step`, 0 being its start."""

    def __init__(self, step: int) -> None:
        super().__init__(f"interrupted; kept at step {step}")
        self.step = step


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """A finished run."""

    parameters: int
    implementations: Mapping[str, str]
    """what computed the attention: name -> why; several where layers differ"""
    losses: tuple[tuple[int, float], ...]
    """training curve: (step, mean loss since the point before)"""
    validations: tuple[Validation, ...]
    tokens_per_second: float
    """training tokens a second of optimizer steps; validation and reading batches left out"""
    training_seconds: float
    """time of the optimizer steps alone"""
    seconds: float
    """wall-clock time of the whole run"""
    peak_memory: int | None
    """bytes that the run held at most beyond what the process held before; None where the system does not tell"""
    flops_per_token: float
    """floating-point operations of a training step over the tokens it reads, as its implementation computes them"""
    stopped_early: bool
    arithmetic: Mapping[str, str] = field(default_factory=dict)
    """bits of what computed it, by part: see `arithmetic.py`"""
    kernels: str = ""
    """a hash of the compiled kernels; empty where there were none"""
