"""A sweep says what a launch asks its finished runs, once, and rows are compared by that."""

import json
import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import mta_lab
from mta_lab.errors import UserError
from mta_lab.lab.evaluations import ask_finished
from mta_lab.lab.tables import table_of
from mta_lab.planning.runs import Run
from mta_lab.report.data import document
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from tests.lab.asked import asked, sweep, trained_folder

__all__ = ["asked", "trained_folder"]  # fixtures
NEEDLES = {"name": "needles", "counts": [1, 2], "depths": [0, 100], "samples": 4, "context": 250}


def loaded(**keys: Any) -> mta_lab.LoadedSweep:
    return mta_lab.load({**sweep(), "evaluate": [NEEDLES, {"name": "last_word", "sentences": 2}], **keys}, quiet=True)


@pytest.mark.usefixtures("asked")
def test_rows_are_compared_by_the_first_evaluation_once_finished_runs_were_asked() -> None:
    before = loaded().table()
    assert before.finished == 0
    (remark,) = before.remarks
    assert remark.startswith("2 runs are trained and not asked yet: `mta-lab sweep")
    table = loaded().run()
    assert (table.finished, table.sweep.metric.name) == (2, "needle_accuracy")
    for row in table.rows:
        (record,) = row.measured.records.values()
        kept = Records().finished(record.fingerprint)
        assert kept
        needles, last_word = kept.evaluated.values()
        assert (needles.name, last_word.name) == ("needles", "last_word")
        scores = needles.metrics["needle_accuracy"].scores
        assert row.measured.mean == pytest.approx(fmean(scores.values()))
        assert row.measured.domains == scores
        assert row.measured.further["perplexity"] == kept.score
        assert kept.quantity == "perplexity", "the run itself stays what it was"


@pytest.mark.usefixtures("asked")
def test_what_was_asked_is_not_asked_again_and_a_launch_goes_on_where_it_was_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class KilledError(Exception):
        pass

    def killed(*_: Any) -> None:
        raise KilledError

    found = loaded()
    with monkeypatch.context() as patch:
        patch.setattr("mta_lab.evaluation.prepared.evaluated_by", killed)
        with pytest.raises(KilledError):
            found.run()
    kept = [*Path("results/evaluations").glob("*.jsonl")]
    assert len(kept) == 1
    first = document(loaded().run())
    before = {file: file.read_bytes() for file in Records().files()}
    assert document(loaded().run())["rows"] == first["rows"]
    assert {file: file.read_bytes() for file in Records().files()} == before
    assert not Path("results/evaluations").exists()


@pytest.mark.usefixtures("asked")
def test_a_run_without_weights_leaves_the_launch_incomplete() -> None:
    plan = loaded()._plan
    runs = [Run.of(run, record.content_hash) for run in plan.sweep.runs() for record in Records().all_finished()[:1]]
    Records().weights(runs[0].fingerprint).unlink()
    assert not ask_finished(plan, runs)
    assert [row.name for row in table_of(plan, runs).rows if row.measured.scores] == ["mta"]


@pytest.mark.usefixtures("asked")
def test_what_cannot_be_asked_is_said_once_and_costs_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    short = {"name": "needles", "counts": [10], "context": 64}
    found = mta_lab.load({**sweep(), "evaluate": [short]})
    table = found.run()
    assert table.finished == 0
    assert not table.rows[0].measured.scores
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "is left out" in line]
    assert re.fullmatch(r"plain seed 0 is left out: needles: contexts: 10 needles and a question need .*", line)


def written(folder: Path, **keys: Any) -> str:
    file = folder / "asks.yaml"
    file.write_text(json.dumps({"rows": {"plain": {}}, **keys}))
    return str(file)


def test_what_holds_at_a_scale_replaces_what_is_asked(tmp_path: Path) -> None:
    file = written(tmp_path, evaluate=["needles"], scales={"nano": {"evaluate": [NEEDLES], "training.steps": 7}})
    nano, micro = (load_sweep(file, scale=scale) for scale in ("nano", "micro"))
    assert (nano.evaluations[0].samples, micro.evaluations[0].samples) == (4, 500)  # type: ignore[attr-defined]
    assert nano.rows[0].config.training.steps == 7
    assert (nano.validated_by.name, nano.metric.name) == ("perplexity", "needle_accuracy")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"evaluate": "needles"}, r"evaluate: got 'needles', allowed: a list of evaluations, like \[needles\]"),
        ({"evaluate": ["nedles"]}, r"evaluate: no evaluations named 'nedles' \(did you mean 'needles'\?\)"),
        ({"evaluate": [{"name": "needles", "conts": [2]}]}, r"evaluate: conts: no such key; did you mean 'counts'\?"),
        ({"evaluate": ["token_accuracy"]}, "evaluate: 'token_accuracy' is an evaluation of a validation; write it"),
        (
            {"evaluate": ["needles"], "base": {"task": "find_block", "model": {"vocabulary": 28, "context": 400}}},
            "evaluate: row 'plain' was trained on find_block, and questions are made of held-out text",
        ),
        ({"scales": {"nano": {"evaluate": "needles"}}}, r"scales.nano.evaluate: got 'needles', allowed: a list"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        load_sweep(written(tmp_path, **keys), scale="nano")
    assert "\n" not in str(refused.value)
