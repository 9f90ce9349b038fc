"""A run as it is submitted, and its end as the records hold it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mta_lab.config import identity_of, plain
from mta_lab.devices.known import named_by_torch
from mta_lab.executors import fence
from mta_lab.executors.base import Failed, RunRequest
from mta_lab.launch.requests import asked_stops
from mta_lab.masking import masked
from mta_lab.planning.runs import Run
from mta_lab.provenance import provenance
from mta_lab.results.failures import Attempt
from mta_lab.results.records import Failure, Record, Records
from mta_lab.training.result import TrainingResult


def record_of(
    run: Run, result: TrainingResult, *, run_id: str, threads: int, attempts: Sequence[Attempt] = ()
) -> Record:
    """Return the record of a finished run.

    It was computed with `threads` torch threads, after failed `attempts`. Machine and versions are
    those of the worker that trained it, as far as the result says them.
    """
    last, identity = result.validations[-1], identity_of(run.config, run.content_hash)
    several = {"devices_per_run": result.devices_per_run} if result.devices_per_run > 1 else {}
    machines = {"machines": list(result.machines)} if len(result.machines) > 1 else {}
    passes = {"micro_batches": list(result.micro_batches), "recompute": run.config.training.recompute}
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
        step_seconds=result.step_seconds,
        peak_memory=result.peak_memory,
        flops_per_token=result.flops_per_token,
        losses=[[step, loss] for step, loss in result.losses],
        apart={name: [[step, loss] for step, loss in curve] for name, curve in result.apart.items()},
        validations=[[validation.step, validation.score] for validation in result.validations],
        run_id=run_id,
        provenance={
            **provenance(threads),
            **result.place,
            **several,
            **machines,
            **passes,
            **result.text,
            **_share_of_peak(run, result),
        },
        implementations=result.implementations,
        attempts=attempts,
        meaning=identity.meaning,
        component_code=identity.code,
        engine=identity.engine,
        parent=run.start,
        arithmetic=result.arithmetic,
        kernels=result.kernels,
    )


def _share_of_peak(run: Run, result: TrainingResult) -> dict[str, float]:
    """Return the run's operations a second over its devices' peak (MFU), where that is known."""
    precision, device = run.config.training.precision, named_by_torch(result.place.get("machine", ""))
    if not device or precision not in device.peaks:
        return {}
    rate = result.flops_per_token * result.tokens_per_second
    return {"share_of_peak": rate / (device.peaks[precision] * result.devices_per_run)}


class Recorder:
    """Knows the directories of a launch, and what the records hold of its runs so far."""

    def __init__(
        self, records: Records, corpus_root: Path, timeout: float | None, run_id: Callable[[str], str]
    ) -> None:
        """Begin; `timeout` is in seconds for each attempt, `run_id` finds a run's MLflow run."""
        self._records, self._corpus_root, self._timeout, self._run_id = records, corpus_root, timeout, run_id

    def stops(self) -> set[str]:
        """Return the fingerprints of the runs that somebody asked to be stopped."""
        return asked_stops(self._records.directory)

    def request(self, run: Run, micro_batch: int | None = None) -> RunRequest:
        """Give a run to a new attempt, and return what an executor is handed of it.

        `micro_batch` is in place of its own.
        """
        training = run.config.training
        if micro_batch:
            training = replace(training, micro_batch=micro_batch)
        checkpoints = self._records.checkpoints(run.fingerprint)
        return RunRequest(
            config=replace(run.config, training=training),
            corpus_root=self._corpus_root,
            checkpoints=checkpoints,
            attempt=fence.give(checkpoints),
            weights=self._records.weights(run.fingerprint),
            start=self._records.weights(run.start) if run.start else None,
            timeout=self._timeout,
        )

    def record(self, run: Run, result: TrainingResult, threads: int) -> Record:
        """Return the record of a run that finished now."""
        attempts, run_id = self._records.attempts(run.fingerprint), self._run_id(run.fingerprint)
        return record_of(run, result, run_id=run_id, threads=threads, attempts=attempts)

    def failure(self, run: Run, failed: Failed, step: int | None, *, final: bool) -> Failure:
        """Return the failure of a run whose attempt failed now, secrets masked.

        `step` is where, as far as is known.
        """
        now, reason = datetime.now(UTC).isoformat(timespec="seconds"), masked(failed.reason)
        attempt = Attempt(kind=failed.kind, reason=reason, ended=now, step=step)
        return Failure(
            fingerprint=run.fingerprint,
            label=run.label,
            kind=failed.kind,
            reason=reason,
            traceback=masked(failed.traceback),
            attempts=(*self._records.attempts(run.fingerprint), attempt),
            final=final,
        )
