"""Any name is a key that MLflow takes, and any text a value."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils import validation

from mta_lab.config import Layer, resolve, scale_layer
from mta_lab.results.records import Records
from mta_lab.tracking.entries import LaunchSummary
from mta_lab.tracking.keys import keys, shortened
from mta_lab.tracking.sync import Synced, sync
from mta_lab.tracking.tracker import Tracker
from mta_lab.training import Progress, Validation
from tests.tracking.launches import LAUNCH, RUNS, end, entry, finished, runs

NAMES = st.one_of(st.text(), st.text(":/.2Bb +é", max_size=8))


def name_of(key: str) -> str:
    """Read a key that was not cut."""
    escaped = re.sub(r"(?::[0-9A-F]{2})+", lambda found: _letters(found[0]), key)
    return "" if escaped == "\0" else escaped


def _letters(escapes: str) -> str:
    return bytes.fromhex(escapes.replace(":", "")).decode(errors="surrogatepass")


def taken_by_mlflow(key: str) -> bool:
    try:
        validation._validate_metric(key, 1.0, 0, 0)
        validation._validate_param(key, "value")
        validation._validate_tag(key, "value")
    except MlflowException:
        return False
    return True


@given(st.lists(NAMES.filter(lambda name: name != "\0"), unique=True), st.sampled_from(["", "val/perplexity/"]))
def test_every_name_has_a_key_of_its_own_that_says_it(names: list[str], prefix: str) -> None:
    found = keys(names, prefix)
    assert all(map(taken_by_mlflow, found.values()))
    for name, key in found.items():
        assert " characters " in key or name_of(key.removeprefix(prefix)) == name
    assert len({key.lower() for key in found.values()}) == len(names), "some stores do not tell `a` from `A`"


@given(NAMES.filter(taken_by_mlflow).filter(lambda name: not re.search(":[0-9A-F]{2}", name)))
def test_a_name_that_mlflow_takes_stays_as_it_is(name: str) -> None:
    assert keys([name]) == {name: name}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("book", "book"),
        ("c++", "c:2B:2B"),
        ("a/../b", "a/:2E:2E/b"),
        (".", ":2E"),
        ("é/ü", "é/ü"),
        ("c_q 4, c_k 9", "c_q 4:2C c_k 9"),
        ("100%", "100:25"),
        ("not UTF-8: \udcff", "not UTF-8: :ED:B3:BF"),
        ("1:30", "1:3A30"),
        ("", ":00"),
        ("a" * 237, "a" * 237),
    ],
)
def test_a_key_reads_as_its_name(name: str, key: str) -> None:
    assert keys([name], "mean/") == {name: f"mean/{key}"}


def test_names_that_differ_in_capitals_alone_have_keys_that_differ_in_more() -> None:
    assert keys(["1x1", "1X1", "row"]) == {"1x1": "1x1", "1X1": "1:581", "row": "row"}


def test_a_long_name_says_that_it_is_cut_and_stays_apart_from_others() -> None:
    first, second = keys(["a" * 300, "a" * 299 + "b"], "mean/").values()
    assert first.startswith("mean/aaa")
    assert ".. 305 characters " in first
    assert first != second


@given(st.text(max_size=300))
def test_a_text_of_any_length_fits_and_says_where_it_was_cut(text: str) -> None:
    short = shortened(text, 100, "config.yaml")
    assert len(short) <= 100
    assert short == text if len(text) <= 100 else short.endswith(f"... ({len(text)} characters; config.yaml has all)")


def test_a_text_that_is_no_utf_8_is_a_value() -> None:
    assert shortened("/tmp/\udcff", 100, "config.yaml") == r"/tmp/\udcff"


def test_runs_with_odd_domains_and_long_settings_are_shown_whole_and_alike_by_a_launch_and_by_sync(store: Path) -> None:
    domains = {name: float(place) for place, name in enumerate(["c++", "a/../b", ".", "é/ü", "a" * 300], start=9)}
    path = "/a path of many letters" * 400
    settings = {"data.path": path, "data.mixture": dict.fromkeys(domains, 1.0), "training.steps": 20}
    odd = replace(
        entry("a"), config=resolve([scale_layer("nano"), Layer("test", {**settings, "training.warmup_steps": 2})])
    )
    records = Records()
    tracker = Tracker("table", records, pytest.fail)
    tracker.start(LAUNCH)
    tracker.start_run(odd)
    tracker.progress("a", Progress(step=20, loss=1.0))
    last = Validation(step=20, quantity="perplexity", domains=domains)
    tracker.progress("a", Progress(step=20, loss=1.0, validation=last))
    scored = dict.fromkeys(domains, 100)
    end(tracker, records, replace(finished("a"), domains=domains, scored=scored))
    tracker.end("FINISHED", LaunchSummary("a table" * 4000))
    records.finish(replace(finished("b"), domains=domains, scored=scored))
    assert sync("table", LAUNCH, [odd, replace(odd, fingerprint="b")], records, pytest.fail) == Synced(finished=1)
    launched, entered = runs(MlflowClient(), RUNS)
    assert launched.data.params == entered.data.params
    assert set(launched.data.metrics) ^ set(entered.data.metrics) <= {"peak_memory"}
    assert launched.data.metrics["val/perplexity/c:2B:2B"] == 9.0
    assert launched.data.metrics["scored/a/:2E:2E/b"] == 100.0
    assert launched.data.params["data.mixture.c:2B:2B"] == "1.0"
    assert launched.data.params["data.path"].endswith(f"... ({len(path)} characters; config.yaml has all)")
    notes = [run.data.tags.get("mlflow.note.content", "") for run in runs(MlflowClient())]
    assert any(note.endswith("... (28000 characters; report.html has all)") for note in notes)
