"""Hold the progress and the result of a run, as plain data that passes between processes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.metrics import Scores


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The scores of a run after `step` optimizer steps, on held-out data.

    That data is the same for all runs of a task.
    """

    step: int
    quantity: str
    """name of the metric of these scores; files and MLflow call it so"""
    domains: Mapping[str, float]
    """score of each domain"""
    scored: Mapping[str, int] = field(default_factory=dict)
    """number of tokens or sequences behind each domain's score"""
    further: Mapping[str, Scores] = field(default_factory=dict)
    """scores by the run's other evaluations, by metric"""

    @property
    def evaluations(self) -> Mapping[str, Scores]:
        """Return the scores by all evaluations, by metric; runs are compared by the first."""
        return {self.quantity: Scores(domains=self.domains, scored=self.scored), **self.further}

    @property
    def score(self) -> float:
        """Return the mean over the domains, each of equal weight, as in the paper."""
        return sum(self.domains.values()) / len(self.domains)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a run: a step, its training loss, and a validation if there was one.

    The loss is in nats a token, the mean since the last report.
    """

    step: int
    loss: float
    validation: Validation | None = None
    apart: Mapping[str, float] = field(default_factory=dict)
    """losses beside the task's, without their weights, as means since the last report"""
    implementations: Mapping[str, str] = field(default_factory=dict)
    """what computes attention: name of the implementation -> why it was chosen"""
    learning_rate: float | None = None
    """of the step; None of a validation, and in checkpoints of earlier versions, as what follows"""
    gradient_norm: float | None = None
    """of all gradients of the step together, before they were clipped; None of a skipped step"""
    loss_scale: float | None = None
    """what the loss of the next step is multiplied by, in fp16"""
    skipped_steps: int | None = None
    """steps so far that moved no weights, as gradients were not finite in fp16"""
    tokens_per_second: float | None = field(default=None, compare=False)
    """of the optimizer steps since the last report; measured, and so never the same twice"""

    @property
    def measures(self) -> dict[str, float]:
        """Return the numbers of the training by name, as far as they are known."""
        own = ("loss", "learning_rate", "gradient_norm", "tokens_per_second", "loss_scale", "skipped_steps")
        found = {**self.apart, **{name: getattr(self, name) for name in own}}
        return {name: value for name, value in found.items() if value is not None and not math.isnan(value)}

    @property
    def points(self) -> dict[str, float]:
        """Return the numbers to draw: `val/METRIC/DOMAIN` of a validation, else `train/NAME`."""
        if not self.validation:
            return {f"train/{name}": value for name, value in self.measures.items()}
        found = {}
        for metric, scores in self.validation.evaluations.items():
            found[f"val/{metric}"] = scores.mean
            found |= {f"val/{metric}/{domain}": score for domain, score in scores.domains.items()}
        return found


Report = Callable[[Progress], bool]
"""called as a run goes on; returning True stops the run"""


class InterruptedRunError(Exception):
    """A run was stopped as asked; it can go on from `step`, which is 0 for its start."""

    def __init__(self, step: int) -> None:
        super().__init__(f"interrupted; kept at step {step}")
        self.step = step


class GivenAwayError(Exception):
    """A run was given to another attempt, which alone may write its files from then on."""

    def __init__(self) -> None:
        super().__init__("the run was given to another attempt; this one ends and writes nothing")


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The result of a finished run."""

    parameters: int
    implementations: Mapping[str, str]
    """what computed attention: name of the implementation -> why; several where layers differ"""
    losses: tuple[tuple[int, float], ...]
    """training curve: (step, mean loss in nats a token since the point before)"""
    validations: tuple[Validation, ...]
    apart: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    """training curves of the losses beside the task's, by name, without their weights"""
    tokens_per_second: float
    """training tokens a second of optimizer steps, without validation; on a CPU without reading of
    batches, which a GPU does not wait for"""
    training_seconds: float
    """seconds of the optimizer steps, counted alike"""
    seconds: float
    """wall-clock seconds of the whole run"""
    peak_memory: int | None
    """most bytes that the run held beyond what the process held before; None where not known"""
    flops_per_token: float
    """floating-point operations of a training step over its tokens, as implemented"""
    stopped_early: bool
    step_seconds: float | None = None
    """median time of an optimizer step: on a CPU the processor's seconds, of all threads"""
    arithmetic: Mapping[str, str] = field(default_factory=dict)
    """bits of each part that computed it: see `arithmetic.py`"""
    micro_batches: tuple[int, ...] = ()
    """sequences read at a time; several where the run was resumed with another number"""
    devices_per_run: int = 1
    """the number of devices that trained it together at its end"""
    machines: tuple[str, ...] = ()
    """the kinds of machine that trained it; several where it was resumed on another kind"""
    kernels: str = ""
    """hash of the compiled kernels; empty where there were none"""
    place: Mapping[str, str] = field(default_factory=dict)
    """the machine that trained it and its versions; of a GPU also its device, driver and CUDA"""
    text: Mapping[str, Any] = field(default_factory=dict)
    """its tokenizer in words, and the passes over each domain; empty for a synthetic task"""
