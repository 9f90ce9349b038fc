"""Records on disk: whole or not at all, and clear about what cannot be read."""

import json
import os
from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.results.failures import Attempt
from mta_lab.results.records import Failure, Record, Records, write_whole

NAME = "0123456789abcdef"
ATTEMPT = Attempt(kind="out_of_memory", reason="out of memory", ended="2026-01-02T03:04:05+00:00", step=7)
FAILURE = Failure(
    fingerprint=NAME,
    label="mta seed 0",
    kind="out_of_memory",
    reason="out of memory",
    traceback="a\nb\n",
    attempts=(ATTEMPT, ATTEMPT),
)


def record(fingerprint: str = NAME, score: float = 11.25) -> Record:
    return Record(
        fingerprint=fingerprint,
        config={
            "scale": "nano",
            "seed": 0,
            "model": {"heads": 4},
            "attention": {"name": "softmax"},
            "training": {"steps": 2},
        },
        content_hash="text",
        parameters=1000,
        quantity="perplexity",
        score=score,
        domains={"wikipedia": score - 0.75, "github": score + 0.75},
        tokens_per_second=1234.5,
        seconds=6.7,
        losses=[[1, 6.2], [2, 6.1]],
        validations=[[2, 480.5]],
        run_id="",
        provenance={"machine": "a machine", "threads": 1, "torch": "2.9", "commit": "none"},
        implementations={"eager": "set by impl: eager", "sdpa": "no operation on the map"},
        scored={"wikipedia": 8192, "github": 4096},
        training_seconds=5.5,
        step_seconds=0.0625,
        peak_memory=1 << 33,
        flops_per_token=1.5e6,
        attempts=(ATTEMPT,),
    )


def test_finished_run_comes_back(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.finished(NAME) is None
    records.finish(record())
    found = Records(tmp_path).finished(NAME)
    assert found is not None
    assert (found.score, found.domains, found.config) == (11.25, record().domains, record().config)
    assert [tuple(point) for point in found.losses] == [(1, 6.2), (2, 6.1)]


def test_record_read_equals_record_written(tmp_path: Path) -> None:
    Records(tmp_path).finish(record())
    assert Records(tmp_path).finished(NAME) == record()


def test_record_names_what_computed_its_attention() -> None:
    assert record().implementation == "eager + sdpa"


def test_record_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It has no implementations and few costs; its time still helps to estimate a sweep."""
    Records(tmp_path).finish(record())
    path = tmp_path / "runs" / f"{NAME}.json"
    fields = json.loads(path.read_text())
    for name in (
        "implementations",
        "scored",
        "training_seconds",
        "step_seconds",
        "peak_memory",
        "flops_per_token",
        "attempts",
    ):
        del fields[name]
    path.write_text(json.dumps(fields))
    (found,) = Records(tmp_path).all_finished()
    assert (found.score, found.implementation, found.seconds) == (11.25, "", 6.7)
    assert (found.attempts, found.step_seconds) == ((), None)
    assert (found.scored, found.training_seconds, found.peak_memory, found.flops_per_token) == ({}, None, None, None)


def test_failure_comes_back_and_finishing_forgets_it(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.failed(NAME) is None
    records.fail(FAILURE)
    assert records.failed(NAME) == FAILURE
    assert records.finished(NAME) is None
    records.finish(record())
    assert records.failed(NAME) is None
    assert records.finished(NAME) is not None


def test_last_failure_stands(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.fail(FAILURE)
    later = Failure(fingerprint=NAME, label="mta seed 0", reason="diverged", traceback="")
    records.fail(later)
    assert records.failed(NAME) == later


def test_failure_of_an_earlier_version_is_final(tmp_path: Path) -> None:
    (tmp_path / "failed").mkdir()
    fields = {"fingerprint": NAME, "label": "mta seed 0", "reason": "no", "traceback": ""}
    (tmp_path / "failed" / f"{NAME}.json").write_text(json.dumps(fields))
    assert Records(tmp_path).failed(NAME) == Failure(**fields)


def test_failure_that_is_forgiven_is_none_and_its_attempts_stay_known(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.clear_failure(NAME)  # nothing to forgive
    assert records.attempts(NAME) == ()
    records.fail(FAILURE)
    records.clear_failure(NAME)
    assert records.failed(NAME) is None
    assert records.attempts(NAME) == (ATTEMPT, ATTEMPT)


def test_all_finished_are_the_finished_ones(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.all_finished() == []
    records.finish(record("b", 4.0))
    records.finish(record("a", 3.0))
    records.fail(Failure(fingerprint="c", label="", reason="", traceback=""))
    (tmp_path / "runs" / "left_behind.tmp").write_text("{")
    assert [found.fingerprint for found in records.all_finished()] == ["a", "b"]


def test_crash_before_the_rename_leaves_the_old_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records(tmp_path)
    records.finish(record(score=3.0))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        records.finish(record(score=4.0))
    monkeypatch.undo()
    found = records.finished(NAME)
    assert found is not None
    assert found.score == 3.0
    assert len(records.all_finished()) == 1
    assert [file.name for file in (tmp_path / "runs").iterdir()] == [f"{NAME}.json"]


def test_crash_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new, and then \ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_take_its_name_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.mkdir()
    with pytest.raises(UserError, match=f"{path}: cannot be written: Is a directory"):
        write_whole(path, "new")
    assert list(tmp_path.iterdir()) == [path]


def test_full_or_closed_disk_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where a directory should be")
    with pytest.raises(UserError, match=f"{NAME}.json: cannot be written"):
        Records(tmp_path).finish(record())


@pytest.mark.parametrize("content", [b"", b'{"fingerprint":', b"nul", b"\xff\xfe"], ids=repr)
def test_unreadable_record_is_named_with_what_to_do(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "runs" / f"{NAME}.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read .*delete it") as caught:
        Records(tmp_path).finished(NAME)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


IMPOSSIBLE = [
    *(
        (name, value)
        for name in ("seconds", "tokens_per_second", "training_seconds", "step_seconds", "parameters")
        for value in (0, -1)
    ),
    *((name, 1e308) for name in ("seconds", "tokens_per_second", "training_seconds", "flops_per_token")),
    *((name, 1 << 62) for name in ("parameters", "peak_memory")),
    *((name, -1) for name in ("peak_memory", "flops_per_token")),
    *(("validations", value) for value in ([], [[-1, 9.0]], [[1e300, 9.0]], [[1.0]])),
    *(("losses", value) for value in ([[1e300, 9.0]], [[-1, 9.0]])),
    *(("finished", value) for value in ("yesterday", "", 5, None, "0001-01-01", "9999-99-99T00:00:00")),
]


@pytest.mark.parametrize(("name", "value"), IMPOSSIBLE, ids=repr)
def test_what_no_run_comes_to_is_said_with_its_name(name: str, value: object, tmp_path: Path) -> None:
    Records(tmp_path).finish(record())
    path = tmp_path / "runs" / f"{NAME}.json"
    fields = json.loads(path.read_text())
    (fields["provenance"] if name == "finished" else fields)[name] = value
    path.write_text(json.dumps(fields))
    with pytest.raises(UserError, match=rf"cannot be read \((provenance\.)?{name}: .*allowed: ") as caught:
        Records(tmp_path).finished(NAME)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{}", "[]", "null", "[1]", "3", '{"another": "schema"}'])
def test_json_that_is_not_a_record_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "runs" / f"{NAME}.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(UserError, match="cannot be read"):
        Records(tmp_path).finished(NAME)


def test_files_are_json_that_others_can_read(tmp_path: Path) -> None:
    Records(tmp_path).finish(record())
    written = json.loads((tmp_path / "runs" / f"{NAME}.json").read_text())
    assert (written["fingerprint"], written["score"]) == (NAME, 11.25)


def test_a_copy_beside_the_records_is_none(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.finish(record())
    run = tmp_path / "runs" / f"{NAME}.json"
    (tmp_path / "runs" / f"{NAME} (copy).json").write_bytes(run.read_bytes())
    (tmp_path / "checkpoints" / "old-ones").mkdir(parents=True)
    records.clean_up()
    assert [record.fingerprint for record in records.all_finished()] == [NAME]
    assert list(records.settings()) == [NAME]


def test_a_record_of_the_first_second_of_1970_has_settings(tmp_path: Path) -> None:
    """As an archive has it that keeps no times."""
    Records(tmp_path).finish(record())
    os.utime(tmp_path / "runs" / f"{NAME}.json", (0, 0))
    assert list(Records(tmp_path).settings()) == [NAME]
