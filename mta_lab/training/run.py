"""Train one configuration with Lightning: `train(config, corpus, report) -> TrainingResult`."""

import logging
import math
import time
import warnings
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from components.tasks import SyntheticTask
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.model import implementations
from mta_lab.training.flops import flops_per_token
from mta_lab.training.language import LanguageModule, TextModule
from mta_lab.training.memory import PeakMemory
from mta_lab.training.module import DecoderModule
from mta_lab.training.result import Progress, Report, TrainingResult, Validation
from mta_lab.training.seeds import derive
from mta_lab.training.synthetic import SequencesModule, SyntheticModule

REPORTS = 100  # how often a run reports its training loss


def train(config: RunConfig, corpus: Corpus | None, report: Report = lambda _: False) -> TrainingResult:
    """Train `config` on `corpus`, or on the sequences of its synthetic task (no corpus), and return its curves.

    `report` hears of the training about a hundred times and of each validation; when it returns true, the run stops.
    A loss that is no longer finite raises FloatingPointError with the step.
    """
    started = time.perf_counter()
    _quiet()
    memory = PeakMemory()
    module, data = _modules(config, corpus)
    torch.manual_seed(
        derive(config.seed, "dropout", config.stream)
    )  # after the model: variants draw differently while they are built
    training = config.training
    reporter = _Reporter(report, every=max(1, training.steps // REPORTS))
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        max_steps=training.steps,
        gradient_clip_val=training.gradient_clip,
        val_check_interval=math.ceil(training.steps / training.validations),
        num_sanity_val_steps=0,
        callbacks=[reporter],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data)
    if not trainer.should_stop and (not module.validations or module.validations[-1].step < training.steps):
        trainer.validate(module, datamodule=data, verbose=False)
    ran, peak = implementations(module.model), memory.bytes()
    tokens = trainer.global_step * training.batch_size * data.context
    one_sequence = torch.zeros(1, data.context + 1, dtype=torch.int64, device=module.device)
    return TrainingResult(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        implementations=ran,
        losses=tuple(reporter.losses),
        validations=tuple(module.validations),
        tokens_per_second=tokens / reporter.training_seconds,
        training_seconds=reporter.training_seconds,
        seconds=time.perf_counter() - started,
        peak_memory=peak,
        flops_per_token=flops_per_token(module.model, one_sequence, training.precision),
        stopped_early=reporter.stopped,
    )


def _modules(config: RunConfig, corpus: Corpus | None) -> tuple[DecoderModule, TextModule | SequencesModule]:
    """What learns, and what it learns from."""
    if isinstance(config.task, SyntheticTask):
        sequences = SequencesModule(config, config.task)
        return SyntheticModule(config, sequences.domains), sequences
    if corpus is None:
        raise ValueError(f"task {config.task.name} reads text: a corpus is needed")
    text = TextModule(config, corpus)
    return LanguageModule(config, text.domains), text


class _Reporter(Callback):
    """Counts steps and training time, watches the loss, and carries both to `report`."""

    def __init__(self, report: Report, every: int) -> None:
        self.report = report
        self.every = every
        self.losses: list[tuple[int, float]] = []
        self.training_seconds = 0.0
        self.stopped = False
        self._sum = torch.zeros(())
        self._since = 0
        self._step_started = 0.0

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Tensor, index: int) -> None:
        self._step_started = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Tensor, index: int) -> None:
        self._sum = self._sum + outputs["loss"].detach().cpu()  # waits for the device
        self.training_seconds += time.perf_counter() - self._step_started
        self._since += 1
        if self._since < self.every and trainer.global_step < trainer.max_steps:
            return
        loss = self._sum.item() / self._since
        if not math.isfinite(loss):
            raise FloatingPointError(f"the training loss is {loss} at step {trainer.global_step}")
        self._sum, self._since = torch.zeros(()), 0
        self.losses.append((trainer.global_step, loss))
        self._tell(trainer, module, loss)

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        loss = self.losses[-1][1] if self.losses else math.nan
        self._tell(trainer, module, loss, module.validations[-1])

    def _tell(self, trainer: Any, module: DecoderModule, loss: float, validation: Validation | None = None) -> None:
        ran = implementations(module.model)
        if self.report(Progress(step=trainer.global_step, loss=loss, validation=validation, implementations=ran)):
            self.stopped = trainer.should_stop = True


def _quiet() -> None:
    """Lightning's notes on hardware and loaders are not about anything a user of this project can set."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning", category=UserWarning)
