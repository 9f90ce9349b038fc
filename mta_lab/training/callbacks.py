"""Watch a run's training, and report its progress."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from components.metrics import Metric, Scores
from mta_lab.devices import own
from mta_lab.model import implementations
from mta_lab.training.objective import TASK
from mta_lab.training.ranks import ALONE, Ranks
from mta_lab.training.result import Progress, Report, Validation


class ProgressCallback(Callback):
    """A callback that counts steps and training time, watches the loss, and reports both.

    A GPU works on while the next step is prepared, so the loss stays there until a report is due,
    and the time is that of all steps since the last report, with the reading between them. On a CPU
    it is that of each step alone.

    The time of each step is kept besides. On a CPU it is the processor's, whose clock stands while
    other processes have the core; on a GPU it is the mean of the steps between two reports.
    """

    def __init__(
        self,
        report: Report,
        every: int,
        ranks: Ranks = ALONE,
        ends: Callable[[Sequence[Validation]], bool] = lambda _: False,
    ) -> None:
        """Begin; `ends` says of the validations so far whether they end the run."""
        self.report = report
        self.every = every
        self.ranks = ranks
        self._ends = ends
        self.told: list[Progress] = []
        self.training_seconds = 0.0
        self.step_times: list[float] = []
        self.stopped = False
        self._sum = torch.zeros(())
        self._apart: dict[str, Tensor] = {}
        self._since = 0
        self._told_seconds = 0.0  # of training, at the last report
        self._started: float | None = None  # the clock, while it runs
        self._processor = 0.0  # the processor's clock then
        self._timed = 0  # steps since then

    @property
    def losses(self) -> list[tuple[int, float]]:
        """Return the training curve so far: (step, mean loss in nats a token)."""
        return [(progress.step, progress.loss) for progress in self.told if progress.validation is None]

    @property
    def apart(self) -> dict[str, list[tuple[int, float]]]:
        """Return the curves of the losses beside the task's, by name."""
        curves: dict[str, list[tuple[int, float]]] = {}
        for progress in self.told:
            for name, value in progress.apart.items():
                curves.setdefault(name, []).append((progress.step, value))
        return curves

    @property
    def step_seconds(self) -> float | None:
        """Return the median of the steps' times; None where none is known."""
        return median(self.step_times) if self.step_times else None

    @property
    def validations(self) -> list[Validation]:
        """Return the validations so far."""
        return [progress.validation for progress in self.told if progress.validation]

    @property
    def ended(self) -> bool:
        """Return whether the run is at its end, though steps are left."""
        return self._ends(self.validations)

    def validated(self, step: int) -> bool:
        """Return True if the last validation is that of `step`."""
        return bool(self.validations) and self.validations[-1].step == step

    def state_dict(self) -> dict[str, Any]:
        """Return the state that `load_state_dict` takes, as plain data."""
        self._stop_clock()
        told = [asdict(progress) for progress in self.told]
        total, apart = self._sum.clone(), {name: one.clone() for name, one in self._apart.items()}
        self.ranks.add_up([total, *apart.values()])
        return {
            "told": told,
            "sum": total.cpu(),
            "apart": {name: one.cpu() for name, one in apart.items()},
            "since": self._since,
            "told_seconds": self._told_seconds,
            "training_seconds": self.training_seconds,
            "step_times": self.step_times,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`, and report its progress again: today's listener has not heard it."""
        self._sum, self._since, self.training_seconds = state["sum"], state["since"], state["training_seconds"]
        self.step_times = state.get("step_times", [])  # checkpoints of earlier versions lack these two
        self._told_seconds = state.get("told_seconds", self.training_seconds)
        self._apart = state.get("apart", {})
        if self.ranks.rank:  # the first process goes on with the sum of all
            self._sum, self._apart = torch.zeros(()), {name: torch.zeros(()) for name in self._apart}
        for fields in state["told"]:
            validation = fields.pop("validation")
            self._tell(Progress(**fields, validation=_validation(validation) if validation else None))

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Tensor, index: int) -> None:
        """Start the clock, unless it runs still."""
        if self._started is None:
            self._started, self._processor = time.perf_counter(), time.process_time()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Tensor, index: int) -> None:
        """Count the step, and report progress where that is due."""
        apart = {name: one.detach() for name, one in outputs.items() if name not in ("loss", TASK)}
        self._sum = self._sum + outputs.get(TASK, outputs["loss"]).detach()
        self._apart = {name: one + self._apart.get(name, 0.0) for name, one in apart.items()}
        self._since += 1
        self._timed += 1
        due = self._since >= self.every or trainer.global_step >= trainer.max_steps
        if due or self._sum.device.type == "cpu":
            self._stop_clock()
        if not due:
            return
        self.ranks.add_up([self._sum, *self._apart.values()])
        loss, apart = self._sum.item() / self._since, {n: one.item() / self._since for n, one in self._apart.items()}
        for named, value in {"training loss": loss, **{f"loss '{name}'": one for name, one in apart.items()}}.items():
            if not math.isfinite(value):
                raise FloatingPointError(f"the {named} is {value} at step {trainer.global_step}")
        scale, skipped = module.loss_scale.told(trainer.global_step) if module.loss_scale else (None, None)
        steps, seconds = self._since, self.training_seconds - self._told_seconds
        norm = self.ranks.full({"norm": module.gradient_norm})["norm"]  # None but for the first process
        self._sum, self._apart, self._since = torch.zeros(()), {}, 0
        self._told_seconds = self.training_seconds
        self._tell(
            Progress(
                step=trainer.global_step,
                loss=loss,
                apart=apart,
                implementations=implementations(module.model),
                learning_rate=module.learning_rate,
                gradient_norm=None if norm is None or (scale and not norm.isfinite()) else norm.item(),
                loss_scale=scale,
                skipped_steps=skipped,
                tokens_per_second=steps * module.tokens_per_step / seconds if seconds else None,
            )
        )
        trainer.should_stop = self.stopped

    def on_validation_start(self, trainer: Any, module: Any) -> None:
        """Stop the clock: a validation is no training."""
        self._stop_clock()

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Report the validation."""
        ran, validation = implementations(module.scored), module.validations[-1]
        loss = self.told[-1].loss if self.told else math.nan
        self._tell(Progress(step=validation.step, loss=loss, validation=validation, implementations=ran))
        trainer.should_stop = self.stopped or self.ended

    def _stop_clock(self) -> None:
        """Add the time since the clock was started, once the device has done its work."""
        if self._started is not None:
            own.synchronize(self._sum.device)
            spent, processor = time.perf_counter() - self._started, time.process_time() - self._processor
            self.training_seconds += spent
            if self._timed:
                self.step_times.append((processor if self._sum.device.type == "cpu" else spent) / self._timed)
            self._started, self._timed = None, 0

    def _tell(self, progress: Progress) -> None:
        self.told.append(progress)
        self.stopped = any(self.ranks.any_of(self.report(progress))) or self.stopped


def no_better_since(validations: Sequence[Validation], metric: Metric) -> int:
    """Return how many validations came after that of the best score, the first of equals."""
    losses = [metric.loss(validation.score) for validation in validations]
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0


def _validation(fields: dict[str, Any]) -> Validation:
    """Return a validation from plain data; those of earlier versions have no further scores."""
    further = {name: Scores(**scores) for name, scores in fields.pop("further", {}).items()}
    return Validation(**fields, further=further)
