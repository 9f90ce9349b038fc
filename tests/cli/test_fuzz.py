"""Files of every kind, spoiled in any way, give one line or the right result.

Never do they give a traceback or another run's score.

Each example spoils one file of a small results directory that is right, and asks all that reads it.
It draws changes of structure (types, keys, nesting, another file's content) and of bytes (cut,
flipped, doubled, letters that steer).
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mta_lab.cli import status
from mta_lab.cli.printable import SafeConsole, one_line
from mta_lab.config import fingerprint, identity_of, plain, read_yaml
from mta_lab.errors import UserError
from mta_lab.launch.status_file import Busy, LaunchStatus, launch_status
from mta_lab.planning.estimates import recorded
from mta_lab.planning.texts import recorded_texts
from mta_lab.report import build_table
from mta_lab.report.data import as_json
from mta_lab.report.stale import changed_since_written, read
from mta_lab.results import exchange as travel
from mta_lab.results.failures import Attempt
from mta_lab.results.records import Failure, Records, settings_key
from mta_lab.results.states import latest, outdated, states_of
from mta_lab.scheduling import Study, Trials
from mta_lab.sweep import load_sweep
from mta_lab.sweep.search import Range
from tests.report.examples import ROWS, example_sweep, finish

SWEEP = """
title: A small sweep
about: What it is about.
base: {attention: {name: multi_token, pre_softmax: [key_query], norm: depth}, training.steps: 900}
scales: {small: {training: {steps: 1000}}}
baseline: softmax
seeds: 2
retry: {killed: 1}
search: {trials: 4, winners: 1, space: {rate: {from: 0.5, to: 2.0, log: true}}}
rows:
  softmax: {attention: softmax, published: table2.transformer}
  narrow: {attention.pre_softmax: [{name: key_query, kernel: [1, 1]}], times: {training.learning_rate: $rate}}
  wide: {published: {value: 10.9, source: a paper}, against: narrow, model: {heads: 2}}
"""
SPACE = {"rate": Range(0.5, 2.0, log=True)}
JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    10**30,
    -0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "9.0",
    "a\x1b[2Jb",
]
JUNK += [
    "\ud800",
    "\u202e",
    "x" * 300,
    "../../x",
    [],
    {},
    [[]],
    [1],
    {"a": {"a": {}}},
    {"name": "mta"},
    [None],
    "softmax",
]
INSERTED = [
    b"\x00",
    b"\x1b[2J",
    b"\r",
    b"\xff",
    b"\n",
    b'"',
    b"{",
    b"}",
    b"[" * 3000,
    b"9" * 5000,
    b"\xe2\x80\xae",
    b": ",
    b"- ",
]


class Place:
    """A results directory that is right, and what is right about it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder, folder / "results"
        self.sweep = example_sweep(folder)
        self.sweep_file = folder / "small.yaml"
        self.sweep_file.write_text(SWEEP)
        self.names = {(run.row, run.seed): fingerprint(run.config, "text") for run in self.sweep.runs()}
        self.configs = {self.names[run.row, run.seed]: run.config for run in self.sweep.runs()}
        self.scores: dict[str, float] = {}
        records = Records(self.results)
        for number, (name, config) in enumerate(self.configs.items()):
            if number == 0:
                attempt = Attempt(kind="killed", reason="it died", ended="2026-01-02T03:04:05+00:00", step=7)
                failure = Failure(fingerprint=name, label="a", reason="no", traceback="a\nb", attempts=(attempt,))
                records.fail(failure)
            else:
                self.scores[name] = 30.0 + number / 7
                identity = identity_of(config, "text")
                parts = {"meaning": identity.meaning, "component_code": identity.code, "engine": identity.engine}
                finish(records, name, self.scores[name], config, "fused", **parts)
        self.failed = next(iter(self.configs))
        records.settings()
        _ = records.identity
        busy = Busy(worker=0, fingerprint="f", label="softmax seed 0", since=5.0, steps=9, step=1, loss=2.5)
        rows = {row: {"finished": 2, "running": 1} for row in ROWS}
        told = LaunchStatus(
            sweep="a", scale="nano", command="c", process=9, since=5.0, left="", rows=rows, ended={}, workers=(busy,)
        )
        self.table = folder / "table.json"
        self.table.write_text(as_json(build_table(self.sweep, self.names, records)))
        (self.results / "launch.json").write_text(json.dumps(asdict(told)))
        trials = Trials.opened(self.results / "optuna.journal", "search", lambda line: None)
        for score in (9.0, 8.0):
            number, _ = trials.ask(SPACE)
            trials.report(number, 5, 10.0)
            trials.finish(number, score)
        trials.fail(trials.ask(SPACE)[0], "it failed")
        trials.ask(SPACE)

    def file(self, kind: str) -> Path:
        """One file of a kind."""
        run = self.results / "runs" / f"{next(iter(self.scores))}.json"
        failed = self.results / "failed" / f"{self.failed}.json"
        files = {"record": run, "failure": failed, "sweep": self.sweep_file, "table": self.table}
        names = {"settings": "settings.json", "status": "launch.json", "journal": "optuna.journal"}
        return files.get(kind) or self.results / names[kind]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("fuzz"))


def refused(act: Callable[[], object]) -> bool:
    """Return whether a mistake is said; it must be one line that can be printed."""
    said = ""
    try:
        act()
    except UserError as error:
        said = one_line(str(error))
    assert said.isprintable()
    return bool(said)


def ask_records(place: Place) -> None:
    said: list[str] = []
    records = Records(place.results, said.append)
    for name, score in place.scores.items():
        if found := records.usable(name):
            assert (found.fingerprint, found.score) == (name, pytest.approx(score, rel=1e-9))  # but for its last digit
    everything = records.all_finished()
    assert all(found.score == pytest.approx(place.scores[found.fingerprint], rel=1e-9) for found in everything)
    assert len(everything) >= len(place.scores) - 1
    assert records.settings().keys() <= place.configs.keys()
    states_of(place.configs, records)
    for names in outdated(place.configs, records).values():
        refused(lambda names=names: latest(names, records))  # type: ignore[misc]
    travel.finished_groups(records)
    refused(lambda: recorded_texts(place.sweep, records))
    recorded(place.sweep.rows, everything)
    assert all(one_line(line).isprintable() for line in said)
    assert len(said) <= 1


def ask_settings(place: Place) -> None:
    ask_records(place)
    right = {name: settings_key(plain(config)) for name, config in place.configs.items() if name in place.scores}
    assert Records(place.results).settings() == right


def ask_failure(place: Place) -> None:
    ask_records(place)
    records = Records(place.results)
    records.failed(place.failed)
    records.attempts(place.failed)
    other = Records(place.folder / "merged")
    travel.merge(other, place.results, replace=True, failures=True, weights=False)
    assert {found.fingerprint: found.score for found in other.all_finished()} == place.scores
    shutil.rmtree(place.folder / "merged")


def ask_status(place: Place) -> None:
    if refused(lambda: launch_status(place.results)):
        return
    told = launch_status(place.results)
    console = SafeConsole(width=100)
    console.file = StringIO()
    console.print(status._page(place.results, None, told, runs=False))
    if told:
        console.print(status._workers(told))
        console.print(status._runs(told.rows))
        console.print(status._progress(told), *map(status._worker_line, told.workers))
    assert console.file.getvalue().replace("\n", "").isprintable()


def ask_journal(place: Place) -> None:
    journal = place.results / "optuna.journal"

    def look() -> None:
        if trials := Trials.open_existing(journal, "search", SPACE):
            assert all(best.score < float("inf") and 0.5 <= best.values["rate"] <= 2.0 for best in trials.best(9))
            trials.counts()
            trials.failed()

    def go_on() -> None:
        trials = Trials.opened(journal, "search", lambda line: None, SPACE)
        number, values = trials.ask(SPACE)
        assert 0.5 <= values["rate"] <= 2.0
        trials.report(number, 5, 10.0)
        trials.finish(number, 7.0)

    for act in (look, go_on, lambda: Study(journal, "runs", lambda line: None)):
        refused(act)


def ask_sweep(place: Place) -> None:
    def load() -> None:
        sweep = load_sweep(str(place.sweep_file), scale="nano")
        assert all(row.name.isprintable() for row in sweep.rows)
        assert sweep.title.isprintable()
        sweep.runs()

    refused(load)


def ask_table(place: Place) -> None:
    refused(lambda: changed_since_written(read(place.table)))


ASKED: dict[str, Callable[[Place], None]] = {
    "record": ask_records,
    "failure": ask_failure,
    "settings": ask_settings,
    "status": ask_status,
    "journal": ask_journal,
    "sweep": ask_sweep,
    "table": ask_table,
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the places in a value, as paths of keys."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def changed_value(data: st.DataObject, value: Any) -> Any:
    """Return the value with one place in it replaced, left out, deeper, or beside itself."""
    path = data.draw(st.sampled_from(list(places(value))))
    if not path:
        return deepcopy(data.draw(st.sampled_from(JUNK)))
    above = value
    for key in path[:-1]:
        above = above[key]
    key, found = path[-1], above[path[-1]]
    match data.draw(st.sampled_from(["junk", "junk", "junk", "delete", "nest", "rename", "text", "deep", "exchange"])):
        case "junk":
            above[key] = deepcopy(data.draw(st.sampled_from(JUNK)))
        case "delete":
            del above[key]
        case "nest":
            above[key] = data.draw(st.sampled_from([[found], {"a": found}, {"name": found}]))
        case "rename" if isinstance(above, dict):
            above[data.draw(st.sampled_from(["", "x", "a\x1b[2Jb", "\ud800", "name", "a.b", "$rate", "\u202e"]))] = (
                above.pop(key)
            )
        case "text":
            above[key] = str(found)
        case "deep":
            for _ in range(data.draw(st.sampled_from([30, 60, 400]))):
                found = {"a": found}
            above[key] = found
        case _:
            other = data.draw(st.sampled_from(list(above.values() if isinstance(above, dict) else above)))
            above[key] = json.loads(json.dumps(other))
    return value


def changed_bytes(data: st.DataObject, content: bytes) -> bytes:
    at = data.draw(st.integers(0, max(0, len(content) - 1)))
    match data.draw(st.sampled_from(["cut", "flip", "insert", "double", "drop", "bom", "wide"])):
        case "cut":
            return content[:at]
        case "flip":
            return (
                content[:at]
                + bytes([content[at] ^ 1 << data.draw(st.integers(0, 7))] if content else b"")
                + content[at + 1 :]
            )
        case "insert":
            return content[:at] + data.draw(st.sampled_from(INSERTED)) + content[at:]
        case "double":
            return content[:at] + content[at : at + 40] + content[at:]
        case "drop":
            return content[:at] + content[at + data.draw(st.integers(1, 40)) :]
        case "bom":
            return b"\xef\xbb\xbf" + content
        case _:
            return content.decode(errors="replace").encode("utf-16")


def spoiled(data: st.DataObject, kind: str, place: Place) -> bytes:
    """Another content of a kind's file."""
    file = place.file(kind)
    content = file.read_bytes()
    how = data.draw(st.sampled_from(["structure", "structure", "bytes", "both", "another"]))
    if how == "another":
        others = [*place.results.glob("*/*.json"), *(place.file(other) for other in ASKED)]
        return data.draw(st.sampled_from(sorted(others))).read_bytes()
    if how in ("structure", "both"):
        if kind == "journal":
            lines = [json.loads(line) for line in content.splitlines()]
            at = data.draw(st.integers(0, len(lines) - 1))
            lines[at] = changed_value(data, lines[at])
            content = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        else:
            value = read_yaml(file, "a sweep") if kind == "sweep" else json.loads(content)
            for _ in range(data.draw(st.integers(1, 2))):
                value = changed_value(data, value) if isinstance(value, dict) else value
            content = json.dumps(value).encode()
    return changed_bytes(data, content) if how in ("bytes", "both") else content


@contextmanager
def kept(place: Place) -> Iterator[None]:
    """Bring all files back as they were."""
    files = {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}
    try:
        yield
    finally:
        for path, content in files.items():
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)
        shutil.rmtree(place.folder / "merged", ignore_errors=True)


def ask(data: st.DataObject, kind: str, place: Place) -> None:
    with kept(place):
        place.file(kind).write_bytes(spoiled(data, kind, place))
        ASKED[kind](place)


CALM = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


@pytest.mark.parametrize("kind", ASKED)
def test_files_that_are_right_are_read(kind: str, place: Place) -> None:
    with kept(place):
        ASKED[kind](place)


@pytest.mark.parametrize("kind", ASKED)
@settings(max_examples=15, deadline=None, suppress_health_check=CALM)
@given(data=st.data())
def test_a_spoiled_file_is_one_line_or_the_right_result(data: st.DataObject, kind: str, place: Place) -> None:
    ask(data, kind, place)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ASKED)
@settings(max_examples=286, deadline=None, suppress_health_check=CALM)
@given(data=st.data())
def test_many_spoiled_files_are_one_line_or_the_right_result(data: st.DataObject, kind: str, place: Place) -> None:
    ask(data, kind, place)
