"""A finished run as the record of its run."""

from collections.abc import Sequence

from mta_lab.config import identity_of, plain
from mta_lab.planning.runs import Run
from mta_lab.provenance import provenance
from mta_lab.results.failures import Attempt
from mta_lab.results.records import Record
from mta_lab.training.result import TrainingResult


def record_of(
    run: Run, result: TrainingResult, *, run_id: str, threads: int, attempts: Sequence[Attempt] = ()
) -> Record:
    """Return the record of a finished run that was computed with `threads` torch threads, after failed `attempts`."""
    last, identity = result.validations[-1], identity_of(run.config, run.content_hash)
    return Record(
        fingerprint=run.fingerprint,
        config=plain(run.config),
        content_hash=run.content_hash,
        parameters=result.parameters,
        quantity=last.quantity,
        score=last.score,
        domains=last.domains,
        scored=last.scored,
        further=last.further,
        tokens_per_second=result.tokens_per_second,
        seconds=result.seconds,
        training_seconds=result.training_seconds,
        peak_memory=result.peak_memory,
        flops_per_token=result.flops_per_token,
        losses=[[step, loss] for step, loss in result.losses],
        validations=[[validation.step, validation.score] for validation in result.validations],
        run_id=run_id,
        provenance=provenance(threads),
        implementations=result.implementations,
        attempts=attempts,
        meaning=identity.meaning,
        component_code=identity.code,
        engine=identity.engine,
        arithmetic=result.arithmetic,
        kernels=result.kernels,
    )
