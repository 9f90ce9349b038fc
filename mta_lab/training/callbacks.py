"""Watch a run's training: one callback reports progress, the other keeps checkpoints."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from statistics import median
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from components.metrics import Scores
from mta_lab.devices import own
from mta_lab.errors import described
from mta_lab.model import implementations
from mta_lab.training.checkpoints import Checkpoints, RunState
from mta_lab.training.memory import Spent
from mta_lab.training.module import DecoderModule
from mta_lab.training.ranks import ALONE, Ranks
from mta_lab.training.result import InterruptedRunError, Progress, Report, Validation

INTERVAL = 60.0  # seconds between two checkpoints
SHARE = 0.02  # of the time goes to checkpoints, at most; slow disks get a longer interval


class ProgressCallback(Callback):
    """A callback that counts steps and training time, watches the loss, and reports both.

    A GPU works on while the next step is prepared, so the loss stays there until a report is due,
    and the time is that of all steps since the last report, with the reading between them. On a CPU
    it is that of each step alone.

    The time of each step is kept besides. On a CPU it is the processor's, whose clock stands while
    other processes have the core; on a GPU it is the mean of the steps between two reports.
    """

    def __init__(self, report: Report, every: int, ranks: Ranks = ALONE) -> None:
        self.report = report
        self.every = every
        self.ranks = ranks
        self.told: list[Progress] = []
        self.training_seconds = 0.0
        self.step_times: list[float] = []
        self.stopped = False
        self._sum = torch.zeros(())
        self._since = 0
        self._started: float | None = None  # the clock, while it runs
        self._processor = 0.0  # the processor's clock then
        self._timed = 0  # steps since then

    @property
    def losses(self) -> list[tuple[int, float]]:
        """Return the training curve so far: (step, mean loss in nats a token)."""
        return [(progress.step, progress.loss) for progress in self.told if progress.validation is None]

    @property
    def step_seconds(self) -> float | None:
        """Return the median of the steps' times; None where none is known."""
        return median(self.step_times) if self.step_times else None

    @property
    def validations(self) -> list[Validation]:
        """Return the validations so far."""
        return [progress.validation for progress in self.told if progress.validation]

    def validated(self, step: int) -> bool:
        """Return True if the last validation is that of `step`."""
        return bool(self.validations) and self.validations[-1].step == step

    def state_dict(self) -> dict[str, Any]:
        """Return the state that `load_state_dict` takes, as plain data."""
        self._stop_clock()
        told = [asdict(progress) for progress in self.told]
        total = self._sum.clone()
        self.ranks.add_up([total])
        return {
            "told": told,
            "sum": total.cpu(),
            "since": self._since,
            "training_seconds": self.training_seconds,
            "step_times": self.step_times,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`, and report its progress again: today's listener has not heard it."""
        self._sum, self._since, self.training_seconds = state["sum"], state["since"], state["training_seconds"]
        self.step_times = state.get("step_times", [])  # checkpoints of earlier versions have none
        if self.ranks.rank:  # the first process goes on with the sum of all
            self._sum = torch.zeros(())
        for fields in state["told"]:
            validation = fields.pop("validation")
            self._tell(Progress(**fields, validation=_validation(validation) if validation else None))

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Tensor, index: int) -> None:
        """Start the clock, unless it runs still."""
        if self._started is None:
            self._started, self._processor = time.perf_counter(), time.process_time()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Tensor, index: int) -> None:
        """Count the step, and report progress where that is due."""
        self._sum = self._sum + outputs["loss"].detach()
        self._since += 1
        self._timed += 1
        due = self._since >= self.every or trainer.global_step >= trainer.max_steps
        if due or self._sum.device.type == "cpu":
            self._stop_clock()
        if not due:
            return
        self.ranks.add_up([self._sum])
        loss = self._sum.item() / self._since
        if not math.isfinite(loss):
            raise FloatingPointError(f"the training loss is {loss} at step {trainer.global_step}")
        self._sum, self._since = torch.zeros(()), 0
        self._tell(Progress(step=trainer.global_step, loss=loss, implementations=implementations(module.model)))
        trainer.should_stop = self.stopped

    def on_validation_start(self, trainer: Any, module: Any) -> None:
        """Stop the clock: a validation is no training."""
        self._stop_clock()

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Report the validation."""
        ran, validation = implementations(module.model), module.validations[-1]
        loss = self.told[-1].loss if self.told else math.nan
        self._tell(Progress(step=validation.step, loss=loss, validation=validation, implementations=ran))
        trainer.should_stop = self.stopped

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


def _validation(fields: dict[str, Any]) -> Validation:
    """Return a validation from plain data; those of earlier versions have no further scores."""
    further = {name: Scores(**scores) for name, scores in fields.pop("further", {}).items()}
    return Validation(**fields, further=further)


class CheckpointCallback(Callback):
    """A callback that keeps checkpoints of a run, and resumes it from one.

    It keeps one at an interval, and when the run is asked to stop: before a step or before a batch
    of a validation. An interrupted validation starts again. List it before `ProgressCallback`, so
    that the time of a step excludes it.

    Where several processes train the run, all keep it or none; the first one writes.
    """

    def __init__(
        self,
        checkpoints: Checkpoints | None,
        interrupted: Callable[[], bool],
        say: Callable[[str], None],
        progress_callback: ProgressCallback,
        spent: Spent,
    ) -> None:
        self.checkpoints, self.interrupted, self.say = checkpoints, interrupted, say
        self.progress_callback, self.spent, self._ranks = progress_callback, spent, progress_callback.ranks
        self._resumed: RunState | None = None
        self._kept = -1  # the step of the last checkpoint
        self._due = time.monotonic() + INTERVAL
        self._random: list[Tensor] = []
        self.micro_batches: tuple[int, ...] = ()
        """the sequences read at a time so far, the last of them now"""

    def resume(self, trainer: lightning.Trainer, module: DecoderModule) -> int:
        """Go on from the latest checkpoint, if there is one; return the step to start at."""
        state = self._resumed = self.checkpoints.latest(self.say) if self.checkpoints else None
        self._settle_micro_batch(module, state)
        step = state.step if state else 0
        if self._ranks.least(step) < step:
            raise RuntimeError(f"another process of this run could not read the checkpoint of step {step}")
        if state is None:
            return 0
        self.say(f"resumed at step {state.step}")
        if state.devices_per_run != self._ranks.count:
            change = f"got {self._ranks.count}, where the run was kept with {state.devices_per_run}"
            self.say(f"--devices-per-run: {change}: equal to about 1e-6, not to the bit")
        self._kept = state.step
        module.model.load_state_dict(state.model)
        self.progress_callback.load_state_dict(state.progress_callback)
        self.spent.add(state.seconds, state.peak_memory)
        self._random = state.random
        own.set_random_states(self._random)
        loop = trainer.fit_loop.epoch_loop  # counts steps twice: for the limit and for validations
        loop.automatic_optimization.optim_progress.optimizer.step.total.completed = state.step
        loop.batch_progress.total.ready = state.step
        return state.step

    def _settle_micro_batch(self, module: DecoderModule, state: RunState | None) -> None:
        """Go on with the micro-batch that a run was kept with; say so where another one is set."""
        before = state.micro_batches if state else ()
        if before and module.config.micro_batch == "auto":
            module.micro_batch = min(before[-1], module.config.batch_size // self._ranks.count)
        elif before and module.micro_batch != before[-1]:
            change = f"got {module.micro_batch}, where the run was kept with {before[-1]} sequences at a time"
            self.say(f"training.micro_batch: {change}: equal to about 1e-6, not to the bit")
        self.micro_batches = before if module.micro_batch in before[-1:] else (*before, module.micro_batch)
        if self.checkpoints:
            self.checkpoints.micro_batch = module.micro_batch

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Restore the optimizer and its schedule, which did not exist before."""
        if self._resumed:
            whole = self._resumed.optimizer
            trainer.optimizers[0].load_state_dict(self._ranks.cut(whole, module.parameters()))
            trainer.lr_scheduler_configs[0].scheduler.load_state_dict(self._resumed.schedule)
            own.set_random_states(self._random)  # the loader's iterator has drawn from them
            self._resumed = None  # frees its memory
        self._random = own.random_states(module.device)

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Tensor, index: int) -> None:
        """Keep or end the run between two steps, if that is due."""
        self._answer(trainer, module)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Tensor, index: int) -> None:
        """Store the random states, which a checkpoint inside the next validation needs."""
        self._random = own.random_states(module.device)

    def on_validation_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
        """Keep or end the run inside a validation, if that is due."""
        self._answer(trainer, module)

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Store the random states again."""
        self._random = own.random_states(module.device)

    def _answer(self, trainer: lightning.Trainer, module: DecoderModule) -> None:
        """Keep the run if that is due, and end it if that is asked."""
        asked, due = self._ranks.any_of(self.interrupted(), time.monotonic() > self._due)
        if self.checkpoints and (asked or due) and self._kept < trainer.global_step:
            self._keep(self.checkpoints, trainer, module)
        if asked:
            raise InterruptedRunError(max(0, self._kept))

    def _keep(self, checkpoints: Checkpoints, trainer: lightning.Trainer, module: DecoderModule) -> None:
        """Write a checkpoint; where the disk takes none, report that and go on."""
        started = time.monotonic()
        state = RunState(
            fingerprint=checkpoints.directory.name,
            step=trainer.global_step,
            model=self._ranks.full(module.model.state_dict()),
            optimizer=self._ranks.full(trainer.optimizers[0].state_dict()),
            schedule=trainer.lr_scheduler_configs[0].scheduler.state_dict(),
            random=self._random,
            progress_callback=self.progress_callback.state_dict(),
            seconds=self.spent.seconds(),
            peak_memory=self.spent.peak_memory(),
            micro_batches=self.micro_batches,
            devices_per_run=self._ranks.count,
        )
        failed = False
        try:
            if self._ranks.rank == 0:
                checkpoints.keep(state)
        except OSError as error:
            failed = True
            self.say(
                f"cannot keep a checkpoint in {checkpoints.directory} ({described(error)}); the run goes on without it"
            )
        if not any(self._ranks.any_of(failed)):
            self._kept = state.step
        ended = time.monotonic()
        self._due = ended + max(INTERVAL, (ended - started) / SHARE)
