"""Commands beside files that others have spoiled: one line on stderr, and all else as it is."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mta_lab import precision
from mta_lab.cli import completion
from mta_lab.launch.status_file import launch_status
from tests.cli.conftest import Command

BUSY = {"worker": 0, "fingerprint": "f", "label": "a seed 0", "since": 5.0, "steps": 9, "step": 1, "loss": None}
STATUS = {
    "sweep": "table",
    "scale": "nano",
    "command": "mta-lab sweep table",
    "process": 123,
    "since": 5.0,
    "left": "",
    "rows": {"a": {"running": 1}},
    "ended": {"finished": 1},
    "workers": [BUSY],
}
SPOILT: list[dict[str, Any]] = [
    {"rows": {"a": 5}},
    {"rows": ["a"]},
    {"rows": {"a": {"running": "1"}}},
    {"ended": None},
    {"since": "noon"},
    {"since": 1e300},
    {"since": -1},
    {"workers": [5]},
    {"workers": {"0": BUSY}},
    {"workers": [{**BUSY, "since": 1e18}]},
    {"workers": [{**BUSY, "loss": "low"}]},
    {"workers": [{**BUSY, "step": True}]},
    {"process": "123"},
    {"command": ["mta-lab"]},
]
TEXTS = [b"", b"{", b"null", b"[]", b"\xff\xfe", b"\x00", b'{"sweep": 1, "sweep": 2}', b"[" * 9000]


def spoil(path: Path, text: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text)


@pytest.mark.parametrize("text", [*(json.dumps(STATUS | one).encode() for one in SPOILT), *TEXTS], ids=ascii)
def test_a_status_file_that_no_launch_wrote_is_one_line(text: bytes, lab: Command) -> None:
    spoil(Path("results/launch.json"), text)
    done = lab("status")
    assert done.status == 0
    assert done.out.startswith("nothing runs here; ")
    assert done.err.startswith("mta-lab: results/launch.json: cannot be read (")
    assert done.err.endswith("; a launch that runs writes it anew, else: rm results/launch.json\n")
    assert done.err.count("\n") == 1


def test_a_status_file_as_a_launch_writes_it_is_shown_and_steers_no_terminal(lab: Command) -> None:
    spoil(Path("results/launch.json"), json.dumps({**STATUS, "sweep": "\x1b[2Jtable\n\u202e"}).encode())
    done = lab("status")
    assert (done.status, done.err) == (0, "")
    assert r"the launch of \x1b[2Jtable" in done.out
    assert done.out.replace("\n", "").isprintable()


@pytest.mark.parametrize("change", [{"another": 1}, {"workers": [{**BUSY, "another": 1}]}])
def test_a_status_file_of_another_version_is_none(change: dict[str, Any], lab: Command) -> None:
    spoil(Path("results/launch.json"), json.dumps(STATUS | change).encode())
    assert launch_status(Path("results")) is None
    assert lab("status").err == ""


def test_a_status_file_that_is_a_pipe_is_not_waited_for(lab: Command) -> None:
    Path("results").mkdir()
    os.mkfifo("results/launch.json")
    assert "it is no regular file" in lab("status").err


@pytest.mark.parametrize(
    "text", [*(text for text in TEXTS if text != b"[]"), b'["a.yaml", 5]', b'{"a.yaml": 1}'], ids=ascii
)
def test_a_list_of_sweeps_that_was_not_written_here_is_one_line(text: bytes, lab: Command) -> None:
    spoil(Path("results/sweeps.json"), text)
    done = lab("results", "list")
    assert done.status == 0
    assert done.err.startswith("mta-lab: results/sweeps.json: cannot be read (")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "\ud800", "/dev/zero", ".", "a/" * 3000])
def test_a_name_that_is_no_sweeps_is_one_line(name: str, lab: Command) -> None:
    assert "no sweep or file named" in lab("report", name).complaint
    spoil(Path("results/sweeps.json"), json.dumps([name]).encode())
    assert lab("results", "list").err == ""


def test_a_sweep_file_that_is_huge_is_one_line(lab: Command) -> None:
    with Path("huge.yaml").open("wb") as file:
        file.truncate(1 << 34)
    complaint = lab("report", "huge.yaml").complaint
    assert complaint == "huge.yaml: cannot be read: it has 17,179,869,184 bytes, allowed: at most 8,388,608"


TABLE: dict[str, Any] = {"sweep": "kernel_sizes", "scale": "nano", "seeds": [0], "settings": {}}
RUN = {"fingerprint": "f", "meaning": "m", "component_code": "", "text": "t", "engine": 4}
ROW = {"row": "transformer", "settings": {}, "runs": {"0": RUN}}


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("transformer", "rows: got 'transformer', allowed: a list"),
        ([5], "rows[0]: got 5, allowed: a mapping"),
        ([{**ROW, "row": None}], "rows[0].row: got None, allowed: a text"),
        ([{**ROW, "runs": [RUN]}], "rows[0].runs: got [{"),
        ([{**ROW, "runs": {"0": 5}}], "rows[0].runs.0: got 5, allowed: a mapping"),
        (
            [{**ROW, "runs": {"0": {**RUN, "engine": "4"}}}],
            "rows[0].runs.0.engine: got '4', allowed: a whole number or",
        ),
        ([{"row": "transformer", "runs": {"0": RUN}}], "rows[0]: has runs without settings"),
    ],
)
def test_a_table_that_no_report_wrote_is_not_marked(rows: Any, fault: str, lab: Command) -> None:
    text = json.dumps({**TABLE, "rows": rows})
    Path("table.json").write_text(text)
    complaint = lab("results", "mark", "table.json").complaint
    assert complaint.startswith(f"table.json: is not a table ({fault}")
    assert Path("table.json").read_text() == text


@pytest.mark.parametrize(
    "text", [*TEXTS, b'{"key": "1.5"}', b'{"key": true}', b'{"key": -1}', b'{"key": 1e999}'], ids=ascii
)
def test_a_ratio_that_was_not_measured_is_measured_anew(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "precision.json").write_bytes(text)
    assert precision._read(tmp_path / "precision.json") == {}
    (tmp_path / "precision.json").write_bytes(b'{"key": 1.5}')
    assert precision._read(tmp_path / "precision.json") == {"key": 1.5}


@pytest.mark.parametrize(
    "text", [*TEXTS, b'rows: {"a\\e[2J": 1}', b"rows: [a]", b"a: *b", b"rows: {[a]: 1}"], ids=ascii
)
def test_the_tab_key_offers_no_row_of_a_file_that_is_none(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(text)
    assert completion.rows(SimpleNamespace(params={"name": str(tmp_path / "a.yaml")})) == []  # type: ignore[arg-type]
