"""Train one configuration with Lightning."""

import logging
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import lightning
import torch

from mta_lab.config import RunConfig, TrainingConfig
from mta_lab.data import Corpus
from mta_lab.devices import own
from mta_lab.errors import UserError, described
from mta_lab.model import implementations
from mta_lab.training import ranks, tensors
from mta_lab.training.arithmetic import arithmetic, kernel_library
from mta_lab.training.batches import Data, data_of
from mta_lab.training.callbacks import ProgressCallback, no_better_since
from mta_lab.training.checkpoints import Checkpoints
from mta_lab.training.flops import flops_per_token
from mta_lab.training.graphs import refuse_parts
from mta_lab.training.keeping import CheckpointCallback
from mta_lab.training.memory import Spent
from mta_lab.training.module import DecoderModule, ScaledSteps
from mta_lab.training.parents import take_weights
from mta_lab.training.ranks import ALONE, Ranks, obstacle
from mta_lab.training.result import Report, TrainingResult, Validation
from mta_lab.training.seeds import derive
from mta_lab.training.sizes import GPU_SHARE, SHARE, micro_batch_of

REPORTS = 100  # how often a run reports its training loss


def train(
    config: RunConfig,
    corpus: Corpus | None,
    report: Report = lambda _: False,
    *,
    checkpoints: Checkpoints | None = None,
    weights: Path | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _: None,
) -> TrainingResult:
    """Train `config`, and return its curves, cost and arithmetic.

    Args:
        config: the run's configuration; its precision must not be `auto`.
        corpus: the text; None for a synthetic task, which makes its own sequences.
        report: called about a hundred times with the training loss, and with each validation;
            returning True stops the run.
        checkpoints: where the run is kept, and the weights that a stage starts from. It goes on
            from the latest checkpoint, and ends to the bit as an uninterrupted run would, on a CPU
            with as many threads, or on a GPU with `training.deterministic`.
        weights: the file that the model's weights are written to when the run ends.
        interrupted: called before every step and validation batch; returning True keeps the run and
            ends it.
        say: called with a line on what is unusual, like the step that the run is resumed at.

    Raises:
        FloatingPointError: a loss or a score is not finite; the message has the step.
        GivenAwayError: another attempt has the run now, as `checkpoints` says.
        InterruptedRunError: `interrupted` returned True; it has the step that the run goes on from.
        UserError: the device has no tf32, fp16 or graphs, which the run sets; the batch cannot be
            shared out among the processes that train the run, or read at once for a graph; or the
            weights to start from cannot be read.

    Where this process has joined others (`ranks.join`), each of them calls it alike: together they
    train the run, and the first one writes what is kept.
    """
    spent, among = Spent(), ranks.own()
    _quiet()
    _set_device(config.training, among)
    data = data_of(config, corpus)
    module = _module(config, data, among)
    if checkpoints and checkpoints.start:
        take_weights(checkpoints.start, module.model, config)
    module.begin_average()
    progress = ProgressCallback(report, max(1, config.training.steps // REPORTS), among, _ends(config))
    keeping = CheckpointCallback(checkpoints, interrupted, say, progress, spent)
    trainer = _trainer(config.training, [keeping, progress], among)
    data.first_step = keeping.resume(trainer, module)
    if config.training.compile == "graph":
        refuse_parts(module.micro_batch, config.training.batch_size)
    data.micro_batch = module.micro_batch * among.count
    among.shard(module.model)
    if module.average:
        among.shard(module.average.model)
    try:
        _run(trainer, module, data, progress)
    finally:
        data.close()
    result = _result(trainer, module, data, keeping, among)
    if weights and not result.stopped_early:
        _keep(weights, module, checkpoints, say, among)
    return result


def _set_device(training: TrainingConfig, among: Ranks) -> None:
    """Set how the device of this process computes; refuse what it, or so many of them, cannot."""
    if training.precision == "tf32" and not own.has_tf32():
        raise UserError(f"training.precision: got 'tf32', which {own.machine()} does not have; allowed: fp32, bf16")
    if training.precision == "fp16" and not own.has_fp16():
        raise UserError(f"training.precision: got 'fp16', which is for GPUs, not {own.machine()}; allowed: fp32, bf16")
    if training.compile == "graph" and not own.has_graphs():
        raise UserError(f"training.compile: got 'graph', which is for GPUs, not {own.machine()}; allowed: auto, off")
    if said := obstacle(training, among.count):
        raise UserError(said)
    own.set_precision(training.precision)
    own.set_deterministic(training.deterministic)


def _module(config: RunConfig, data: Data, among: Ranks) -> DecoderModule:
    """Return the model to train; set the seed of what is drawn in training."""
    module = DecoderModule(config, data.domains, among)
    part = GPU_SHARE if own.on_gpu() else SHARE
    module.micro_batch = among.least(micro_batch_of(config, own.free_memory(), part, among.count))
    # after the model is built, as variants draw different amounts of random numbers for it
    torch.manual_seed(derive(config.seed_of("dropout"), "dropout", config.draws))
    return module


def _trainer(training: TrainingConfig, callbacks: list[lightning.Callback], among: Ranks) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator=own.device().type,  # "auto" would take other accelerators, which nothing here is tested on
        devices=1,
        max_steps=training.steps,
        val_check_interval=_steps_a_validation(training),
        check_val_every_n_epoch=None,  # count steps from the run's start, also after a resume
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[ScaledSteps()] if training.precision == "fp16" else None,
        inference_mode=among is ALONE,  # weights that are gathered in it could not be trained with
    )


def _run(trainer: lightning.Trainer, module: DecoderModule, data: Data, progress: ProgressCallback) -> None:
    """Run the steps from the first of `data` to the last, with every validation that is due."""
    start, training = data.first_step, module.config
    due = start and start % _steps_a_validation(training) == 0
    if due and not progress.stopped and not progress.validated(start):
        trainer.validate(module, datamodule=data, verbose=False)  # interrupted before or inside this validation
    if start < training.steps and not (progress.stopped or progress.ended):
        trainer.fit(module, datamodule=data)
    if not (progress.stopped or progress.ended or progress.validated(training.steps)):
        trainer.validate(module, datamodule=data, verbose=False)


def _result(
    trainer: lightning.Trainer,
    module: DecoderModule,
    data: Data,
    keeping: CheckpointCallback,
    among: Ranks,
) -> TrainingResult:
    """Return the result of a run; its cost leaves out the measurements made here."""
    training, progress, spent = module.config, keeping.progress_callback, keeping.spent
    ran, peak, seconds = implementations(module.scored), spent.peak_memory(), spent.seconds()
    tokens = trainer.global_step * training.batch_size * data.context
    module.to(own.device())  # Lightning leaves it on the CPU, which did not train it
    bits = arithmetic(ran, training.precision, module.device, compiled=training.compiled)
    one_sequence = torch.zeros(1, data.context + 1, dtype=torch.int64, device=module.device)
    return TrainingResult(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        implementations=ran,
        losses=tuple(progress.losses),
        apart=progress.apart,
        validations=tuple(progress.validations),
        tokens_per_second=tokens / progress.training_seconds if tokens else 0.0,
        training_seconds=progress.training_seconds,
        step_seconds=progress.step_seconds,
        seconds=seconds,
        peak_memory=peak,
        flops_per_token=flops_per_token(module.model, one_sequence, training.precision),
        stopped_early=progress.stopped,
        arithmetic=bits,
        micro_batches=keeping.micro_batches,
        devices_per_run=among.count,
        machines=keeping.machines,
        kernels=kernel_library() if training.compiled else "",
        place=among.places(own.place()),
        text=data.text,
    )


def _ends(config: RunConfig) -> Callable[[Sequence[Validation]], bool]:
    """Return the rule of `training.stop_after`."""
    patience, metric = config.training.stop_after, config.task.metric
    return lambda validations: 0 < patience <= no_better_since(validations, metric)


def _steps_a_validation(training: TrainingConfig) -> int:
    return max(1, math.ceil(training.steps / training.validations))


def _keep(
    weights: Path, module: DecoderModule, checkpoints: Checkpoints | None, say: Callable[[str], None], among: Ranks
) -> None:
    """Write the weights of the scored model; where the disk takes none, report that and go on."""
    model = module.scored if among.count > 1 else module.scored.cpu()
    state = among.full(model.state_dict())
    try:
        if among.rank == 0:
            if checkpoints:
                checkpoints.refuse_given_away()
            tensors.write(weights, state)
    except OSError as error:
        lost = "no picture of this run can be drawn, and no stage can start from it"
        say(f"cannot keep the weights in {weights} ({described(error)}); {lost}")


def _quiet() -> None:
    """Silence Lightning's notes on hardware and loaders, which no setting here can change."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning", category=UserWarning)
