"""Runs, their ends, and a launch of four, as the tracker is told of them."""

import time
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from mta_lab.config import Layer, RunConfig, plain, resolve, scale_layer
from mta_lab.results.records import Failure, Record, Records
from mta_lab.tracking.entries import Launch, LaunchSummary, TrackedRun
from mta_lab.tracking.tracker import Tracker
from mta_lab.training import Progress, Validation

TAGS = {"sweep": "table", "row": "mta", "seed": "0"}
LAUNCH = Launch("table nano", {"sweep": "table", "scale": "nano"}, params=("attention.norm.name", "seed"))
RUNS, PARENTS = "tags.fingerprint LIKE '%'", "attributes.run_name = 'table nano'"


def config(attention: str) -> RunConfig:
    settings = {"attention": attention, "model.width": 64, "training.steps": 20, "training.warmup_steps": 2}
    return resolve([scale_layer("nano"), Layer("test", settings)])


def validation(step: int, *perplexities: float) -> Progress:
    domains = dict(zip(("book", "c4"), perplexities, strict=True))
    return Progress(step=step, loss=1.0, validation=Validation(step=step, quantity="perplexity", domains=domains))


def finished(fingerprint: str) -> Record:
    return Record(
        fingerprint=fingerprint,
        config=plain(config("multi_token")),
        content_hash="text",
        parameters=1234,
        quantity="perplexity",
        score=11.0,
        domains={"book": 10.0, "c4": 12.0},
        tokens_per_second=1000.0,
        seconds=4.0,
        losses=[[10, 5.0], [20, 4.0]],
        validations=[[10, 21.0], [20, 11.0]],
        run_id="",
        provenance={"machine": "a made-up machine", "threads": 1, "torch": "0", "commit": "none"},
        implementations={"eager": "set by impl: eager", "sdpa": "no operation on the map"},
        scored={"book": 8192, "c4": 4096},
        training_seconds=3.5,
        peak_memory=123 if fingerprint == "a" else None,
        flops_per_token=1.5e6,
    )


def entry(fingerprint: str, attention: str = "softmax") -> TrackedRun:
    tags = {**TAGS, "row": attention}
    return TrackedRun(fingerprint=fingerprint, name=f"{attention} {fingerprint}", config=config(attention), tags=tags)


def failed(fingerprint: str, reason: str = "RuntimeError: boom") -> Failure:
    return Failure(fingerprint=fingerprint, label="a row", reason=reason, traceback="Traceback: boom")


def ended_launch(said: list[str]) -> Tracker:
    """A launch of four runs: one finished, one failed, one interrupted, one baseline."""
    records = Records(Path("results"))
    tracker = Tracker("table", records, said.append)
    tracker.start(LAUNCH)
    for fingerprint, attention in zip("abcd", ("multi_token", "softmax", "softmax", "softmax"), strict=True):
        tracker.start_run(entry(fingerprint, attention))
    for step in (5, 10, 15, 20):
        tracker.progress("a", Progress(step=step, loss=6.0 - step / 10))
        if step % 10 == 0:
            tracker.progress("a", validation(step, 30.0 - step, 32.0 - step))
    tracker.progress("b", Progress(step=5, loss=7.0))  # not yet written when the run fails
    end(tracker, records, finished("a"))
    end(tracker, records, failed("b"))
    tracker.kill_run("c")
    end(tracker, records, finished("d"))
    tracker.end("FAILED", LaunchSummary("| row | mean |"))
    return tracker


def end(tracker: Tracker, records: Records, result: Record | Failure) -> None:
    """End a run as a launch does: the records first."""
    if isinstance(result, Record):
        records.finish(result)
        tracker.finish_run(result)
    else:
        records.fail(result)
        tracker.fail_run(result)


def runs(client: MlflowClient, query: str = "") -> list[Run]:
    experiment = client.get_experiment_by_name("table")
    return list(client.search_runs([experiment.experiment_id], query))


def states(fingerprint: str) -> list[str]:
    return sorted(run.info.status for run in runs(MlflowClient(), f"tags.fingerprint = '{fingerprint}'"))


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.05)
