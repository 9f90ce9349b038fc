"""Damaged files of records: one line or the right result, never another run's score."""

import json
import os
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mta_lab.errors import UserError
from mta_lab.identity import ENGINE, Identity, fingerprint_of
from mta_lab.results.records import Failure, Record, Records
from mta_lab.strict import FaultError, as_json, built
from tests.test_records import ATTEMPT, FAILURE, NAME, record

OTHER = "fedcba9876543210"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The file of a record, beside one of another run."""
    records = Records(tmp_path)
    records.finish(record())
    records.finish(record(OTHER, 12.0))
    return tmp_path / "runs" / f"{NAME}.json"


def said_of(run: Path) -> str:
    """The one line about a file; the other record counts all the same."""
    said: list[str] = []
    records = Records(run.parent.parent, said.append)
    with pytest.raises(UserError) as caught:
        records.finished(NAME)
    assert [found.fingerprint for found in records.all_finished()] == [OTHER]
    assert set(records.settings()) == {OTHER}
    assert records.usable(NAME) is None
    line = str(caught.value)
    assert said == [line]
    assert "\n" not in line
    assert line.startswith(f"{run}: cannot be read (")
    assert line.endswith(f"; delete it to run the run again: rm {run}")
    return line


def no_file(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def circle_of_links(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (directory, "it is no regular file"),
        (pipe, "it is no regular file"),
        (device, "it is no regular file"),
        (circle_of_links, "Too many levels of symbolic links"),
        (huge, "it has 1,099,511,627,776 bytes, allowed: at most 67,108,864"),
    ],
)
def test_what_stands_in_a_records_place_is_named_and_never_waited_for(
    spoil: Callable[[Path], None], fault: str, run: Path
) -> None:
    spoil(run)
    assert f"({fault})" in said_of(run)


DEEP = '{"a":' * 5000 + "1" + "}" * 5000
BAD_TEXTS: dict[bytes, str] = {
    b"": "it is empty",
    b" \n": "it is empty",
    b"{": "line 1: ",
    b"\x00\x01\x02": "line 1: ",
    b"\xff\xfe{\x00}\x00": "byte 0 is not UTF-8",
    b'{"config": "\xe9"}': "byte 12 is not UTF-8",
    b'{"score": NaN}': "NaN is no number",
    b'{"score": -Infinity}': "-Infinity is no number",
    b'{"score": 1e999}': "1e999 is no finite number",
    b'{"parameters": 99999999999999999999}': "99999999999999999999... is too large a number",
    b'{"parameters": ' + b"9" * 5000 + b"}": "is too large a number",
    b'{"score": 9.0, "score": 8.0}': "the key 'score' stands twice",
    DEEP.encode(): "too many brackets within brackets",
    b"[" * 100 + b"]" * 100: "too many brackets within brackets",
    b"[]": "got [], allowed: a mapping",
    b"null": "got None, allowed: a mapping",
}


@pytest.mark.parametrize(("text", "fault"), BAD_TEXTS.items(), ids=lambda value: ascii(value)[:30])
def test_text_that_is_no_record_is_named(text: bytes, fault: str, run: Path) -> None:
    run.write_bytes(text)
    assert fault in said_of(run)


def test_a_byte_order_mark_is_passed_over(run: Path) -> None:
    run.write_bytes(b"\xef\xbb\xbf" + run.read_bytes())
    assert Records(run.parent.parent).finished(NAME) == record()


TIRED = {"kind": "tired", "reason": "", "ended": "", "step": 1}
NUMBERS = "a mapping of names, each to a number"
WRONG: list[tuple[str, Any, str]] = [
    ("score", "9.0", "score: got '9.0', allowed: a number"),
    ("score", True, "score: got True, allowed: a number"),
    ("score", None, "score: got None, allowed: a number"),
    ("score", -9.0, "score: got -9.0, allowed for perplexity: 1 to inf"),
    ("score", 0.5, "score: got 0.5, allowed for perplexity: 1 to inf"),
    ("score", 9.0, "score: got 9.0, allowed: the mean of its domains, 11.25"),
    ("quantity", "error_rate", "score: got 11.25, allowed for error_rate: 0 to 1"),
    ("quantity", "loss", "no component that is loaded here is scored by 'loss'"),
    ("domains", {"wikipedia": "10.5"}, f"domains: got {{'wikipedia': '10.5'}}, allowed: {NUMBERS}"),
    ("domains", [10.5], f"domains: got [10.5], allowed: {NUMBERS}"),
    ("domains", {}, "domains: got {}, allowed: the score of one at least"),
    ("parameters", 1.5, "parameters: got 1.5, allowed: a whole number"),
    ("parameters", True, "parameters: got True, allowed: a whole number"),
    ("parameters", -1, "parameters: got -1, allowed: more than 0"),
    ("seconds", -6.7, "seconds: got -6.7, allowed: more than 0"),
    ("peak_memory", "1 GB", "peak_memory: got '1 GB', allowed: a whole number or null"),
    ("losses", [[1, 2, 3]], "losses: allowed: a list of steps, each with its value"),
    ("losses", [[]], "losses: allowed: a list of steps, each with its value"),
    ("losses", ["12"], "losses: got ['12'], allowed: a list, each of it a list, each of it a number"),
    ("validations", [[2, 0.1]], "validations: got 0.1, allowed for perplexity: 1 to inf"),
    ("config", {}, "config.scale: got None, allowed: a text"),
    ("config", {"scale": "nano", "seed": True}, "config.seed: got True, allowed: a whole number"),
    ("provenance", {}, "provenance.machine: got None, allowed: a text"),
    ("run_id", 5, "run_id: got 5, allowed: a text"),
    ("implementations", ["fused"], "implementations: got ['fused'], allowed: a mapping of names, each to a text"),
    ("attempts", {}, "attempts: got {}, allowed: a list"),
    ("attempts", ["no"], "attempts[0]: got 'no', allowed: a mapping"),
    ("attempts", [TIRED], "attempts[0].kind: got 'tired', allowed: 'exc"),
    ("attempts", [{"kind": "killed"}], "attempts[0].reason: is missing"),
    ("engine", "4", "engine: got '4', allowed: a whole number or null"),
    ("fingerprint", OTHER, f"it is of the run {OTHER}, of which it may be a copy"),
    ("surplus", 1, "surplus: no such field"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "fault"), WRONG, ids=lambda value: ascii(value)[:30])
def test_a_field_that_no_run_can_have_is_named(name: str, value: Any, fault: str, run: Path) -> None:
    run.write_text(json.dumps({**json.loads(run.read_text()), name: value}))
    if (
        name == "surplus" or "missing" in fault or "no component" in fault
    ):  # another version wrote it: no fault among all records
        with pytest.raises(UserError, match=fault.replace("[", r"\[")):
            Records(run.parent.parent).finished(NAME)
    else:
        assert fault in said_of(run)


def test_a_copy_of_a_record_counts_for_no_other_run(run: Path) -> None:
    shutil.copy(run.with_name(f"{OTHER}.json"), run)
    assert f"it is of the run {OTHER}, of which it may be a copy" in said_of(run)


def identified(config: dict[str, Any]) -> Record:
    """A record as this version writes it: it holds all that its fingerprint is made of."""
    found = replace(record(), config=config, meaning="a meaning", component_code="code", engine=ENGINE)
    identity = Identity("a meaning", "code", found.content_hash, ENGINE)
    return replace(found, fingerprint=fingerprint_of(config, identity))


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"model": {"heads": 8}}, {"attention": {"name": "mta"}}, {"data": {"evaluate": "test"}}]
)
def test_a_record_under_a_name_that_was_changed_in_it_is_no_other_runs(change: dict[str, Any], tmp_path: Path) -> None:
    mine = identified(dict(record().config))
    theirs = identified({**record().config, **change})
    assert mine.fingerprint != theirs.fingerprint
    records = Records(tmp_path)
    records.finish(mine)
    assert records.finished(mine.fingerprint) == mine
    records.finish(replace(mine, fingerprint=theirs.fingerprint))
    with pytest.raises(UserError, match="config: it is of another run than the fingerprint says"):
        records.finished(theirs.fingerprint)


@pytest.mark.parametrize("name", ["it's here", "a b", "$(touch x)", "-rf"])
def test_the_command_that_a_line_ends_with_is_quoted(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    Records(folder).finish(record())
    file = folder / "runs" / f"{NAME}.json"
    file.write_text("{")
    with pytest.raises(UserError) as caught:
        Records(folder).finished(NAME)
    assert shlex.split(str(caught.value).rpartition("again: ")[2]) == ["rm", str(file)]


@pytest.mark.parametrize("spoil", [directory, pipe, circle_of_links, huge], ids=lambda spoil: spoil.__name__)
def test_a_failure_that_cannot_be_read_is_said_and_the_run_is_tried_again(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    Records(tmp_path).fail(FAILURE)
    spoil(tmp_path / "failed" / f"{NAME}.json")
    said: list[str] = []
    records = Records(tmp_path, said.append)
    assert records.failed(NAME) is None
    assert records.attempts(NAME) == ()
    (line,) = said
    assert line.startswith(f"{tmp_path}/failed/{NAME}.json: cannot be read (")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("label", 5),
        ("kind", "tired"),
        ("final", "no"),
        ("final", 1),
        ("traceback", ["a"]),
        ("fingerprint", OTHER),
        ("attempts", [{**vars(ATTEMPT), "step": -1}]),
        ("attempts", [{**vars(ATTEMPT), "step": True}]),
    ],
)
def test_a_failure_of_other_types_is_said_and_is_none(name: str, value: Any, tmp_path: Path) -> None:
    Records(tmp_path).fail(FAILURE)
    file = tmp_path / "failed" / f"{NAME}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), name: value}))
    said: list[str] = []
    assert Records(tmp_path, said.append).failed(NAME) is None
    assert len(said) == 1


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "5", '{"runs": 5, "check": "x"}', DEEP, '{"0123456789abcdef": [1, "a key"]}', "\x00"]
)
def test_settings_that_were_not_written_here_are_read_anew(text: str, run: Path) -> None:
    records = Records(run.parent.parent)
    right = records.settings()
    assert set(right) == {NAME, OTHER}
    (run.parent.parent / "settings.json").write_text(text)
    assert records.settings() == right


def test_settings_that_were_exchanged_are_read_anew(run: Path) -> None:
    """The kept settings of one run must not speak for another."""
    Records(run.parent.parent).finish(replace(record(OTHER, 12.0), config={**record().config, "seed": 1}))
    right = Records(run.parent.parent).settings()
    assert len(set(right.values())) == 2
    file = run.parent.parent / "settings.json"
    kept = json.loads(file.read_text())
    (_, one), (_, other) = kept["runs"].values()
    kept["runs"] = {name: [time, other if key == one else one] for name, (time, key) in kept["runs"].items()}
    file.write_text(json.dumps(kept))
    assert Records(run.parent.parent).settings() == right


@pytest.mark.parametrize("text", [b"", b"\xff", b"short", b"../../../../x", b"0123456789AB", b"a" * 5000])
def test_a_directorys_name_that_was_not_made_here_is_said(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "identity").write_bytes(text)
    with pytest.raises(UserError, match=rf"{tmp_path}/identity: cannot be read \(.*\); delete it to make it anew: rm "):
        _ = Records(tmp_path).identity


def test_a_value_is_shown_in_short() -> None:
    with pytest.raises(FaultError) as caught:
        built(Failure, {**vars(FAILURE), "label": ["x" * 1000]})
    assert len(str(caught.value)) < 120
    assert as_json(b'{"a": [1, -2.5e3, "x", null, true]}') == {"a": [1, -2500.0, "x", None, True]}
