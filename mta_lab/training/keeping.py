"""Keep checkpoints of a run while it trains, and resume it from one."""

import time
from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mta_lab.devices import own
from mta_lab.errors import described
from mta_lab.training.callbacks import ProgressCallback
from mta_lab.training.checkpoints import Checkpoints, RunState
from mta_lab.training.memory import Spent
from mta_lab.training.module import DecoderModule
from mta_lab.training.result import InterruptedRunError

INTERVAL = 60.0  # seconds between two checkpoints
ROUNDED = "each step equal to about 1e-6 in fp32, not to the bit; training makes the difference grow"
SHARE = 0.02  # of the time goes to checkpoints, at most; slow disks get a longer interval


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
        self.machines: tuple[str, ...] = (own.kind(),)
        """the kinds of machine so far, the last of them this one"""

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
            self.say(f"--devices-per-run: {change}: {ROUNDED}")
        self._settle_machine(state.machines)
        self._kept = state.step
        module.model.load_state_dict(state.model)
        if module.average:
            module.average.model.load_state_dict(state.average)
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
            self.say(f"training.micro_batch: {change}: {ROUNDED}")
        self.micro_batches = before if module.micro_batch in before[-1:] else (*before, module.micro_batch)
        if self.checkpoints:
            self.checkpoints.micro_batch = module.micro_batch

    def _settle_machine(self, before: tuple[str, ...]) -> None:
        """Say so where a run goes on on another kind of machine than it was kept on."""
        (here,) = self.machines
        if before and before[-1] != here:
            self.say(f"it goes on on {here}, where it was kept on {before[-1]}: {ROUNDED}")
        self.machines = before if here in before[-1:] else (*before, here)

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Restore the optimizer and its schedule, which did not exist before."""
        if self._resumed:
            whole, (optimizer,) = self._resumed.optimizer, trainer.optimizers
            numbered = [weight for group in optimizer.param_groups for weight in group["params"]]
            optimizer.load_state_dict(self._ranks.cut(whole, numbered))
            trainer.lr_scheduler_configs[0].scheduler.load_state_dict(self._resumed.schedule)
            if module.loss_scale:
                module.loss_scale.load_state_dict(self._resumed.loss_scale)
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
            average=self._ranks.full(module.scored.state_dict()) if module.average else {},
            optimizer=self._ranks.full(trainer.optimizers[0].state_dict()),
            schedule=trainer.lr_scheduler_configs[0].scheduler.state_dict(),
            loss_scale=module.loss_scale.state_dict() if module.loss_scale else {},
            random=self._random,
            progress_callback=self.progress_callback.state_dict(),
            seconds=self.spent.seconds(),
            peak_memory=self.spent.peak_memory(),
            micro_batches=self.micro_batches,
            devices_per_run=self._ranks.count,
            machines=self.machines,
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
