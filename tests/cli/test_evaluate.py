"""`mta-lab evaluate`: every finished run once, told, shown, and never trained again."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mta_lab
from mta_lab.errors import UserError
from mta_lab.lab.display import Display
from mta_lab.lab.evaluations import evaluations_of
from mta_lab.lab.lines import Progress
from mta_lab.results.records import Records
from tests.cli.conftest import Command
from tests.lab.asked import asked, trained_folder

SWEEP = "results/sweeps/asked.yaml"
__all__ = ["asked", "trained_folder"]  # fixtures
NEEDLES = "{name: needles, counts: [1, 2], depths: [0, 100], samples: 4, context: 250}"


@pytest.fixture
def evaluate(asked: mta_lab.LoadedSweep, typed: Command) -> Callable[..., tuple[int, str, str]]:
    """`evaluate("--on", "needles")` is the command on the sweep: its status, output and remarks."""

    def run(*arguments: str, command: str = "evaluate") -> tuple[int, str, str]:
        done = typed(command, SWEEP, *arguments)
        return done.status, done.out, done.err

    return run


def test_each_finished_run_is_scored_once_by_each_evaluation(evaluate: Callable[..., tuple[int, str, str]]) -> None:
    status, out, _ = evaluate("--on", NEEDLES, "--on", "token_accuracy")
    assert status == 0
    assert out.count("needles: needle accuracy") == out.count("token_accuracy: token accuracy") == 2
    assert out.count("needles: floors: any number at random 11.1 %") == 1
    assert ": 4 results new; `mta-lab report results/sweeps/asked.yaml --scale nano` shows them" in out
    before = {file: file.read_bytes() for file in Records().files()}
    _, again, _ = evaluate("--on", NEEDLES, "--on", "token_accuracy")
    assert again.count("(scored before)") == 4
    assert ": 0 results new, 4 were there" in again
    assert {file: file.read_bytes() for file in Records().files()} == before


def test_one_row_can_be_scored_and_the_report_shows_it(evaluate: Callable[..., tuple[int, str, str]]) -> None:
    _, out, _ = evaluate("mta", "--on", NEEDLES)
    assert ": 1 result new" in out
    _, shown, _ = evaluate("--format", "json", command="report")
    rows = {row["row"]: row["runs"]["0"]["evaluated"] for row in json.loads(shown)["rows"]}
    assert not rows["plain"]
    (found,) = rows["mta"].values()
    assert found["name"] == "needles"
    assert set(found["metrics"]["needle_accuracy"]) == {
        f"{n} needle{'s' * (n > 1)}, {d} %" for n in (1, 2) for d in (0, 100)
    }


def test_a_run_without_weights_is_told_and_left_out(evaluate: Callable[..., tuple[int, str, str]]) -> None:
    """It may still have results; no run is trained again for them."""
    evaluate("--on", NEEDLES)
    plain = next(record for record in Records().all_finished() if record.config["attention"]["name"] == "softmax")
    Records().weights(plain.fingerprint).unlink()
    status, out, _ = evaluate("--on", NEEDLES)
    assert (status, out.count("(scored before)")) == (0, 2)
    status, out, remarks = evaluate("--on", "last_word", "--on", "{name: last_word, sentences: 2}")
    assert status == 1
    assert ": 2 results new, 1 run left out" in out
    assert remarks.count("plain seed 0 is left out:") == 1
    assert ".pt: is missing" in remarks
    assert not Records().weights(plain.fingerprint).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--on: is missing; type for example --on needles"),
        (["--on", "nedles"], "--on: no evaluations named 'nedles' (did you mean 'needles'?)"),
        (["--on", "{name: needles, conts: [2]}"], "--on: conts: no such key; did you mean 'counts'?"),
        (["--on", "{name: needles, counts: [2"], "is not a YAML value"),
        (["--on", "{name: needles, counts: 2}"], "--on: counts: got 2, allowed: a list of whole numbers"),
        (["--on", "{name: needles, context: 12}"], "needles: contexts: 2 needles and a question need"),
        (["--on", "{name: babilong, path: nowhere}"], "babilong: path: nowhere has no qa1/0k.json"),
        (["--on", "{name: last_word, path: nowhere}"], "last_word: path: got 'nowhere', allowed: a file of JSON lines"),
        (["rows", "--on", "needles"], "no row named 'rows'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_lost(
    evaluate: Callable[..., tuple[int, str, str]], arguments: list[str], said: str
) -> None:
    before = {file: file.read_bytes() for file in Records().files()}
    status, out, remarks = evaluate(*arguments)
    assert (status, out) == (2, "")
    assert said in remarks
    assert remarks.count("\n") == 1
    assert {file: file.read_bytes() for file in Records().files()} == before


def test_a_sweep_of_which_nothing_is_finished_says_what_trains_it(
    evaluate: Callable[..., tuple[int, str, str]],
) -> None:
    for file in Records().files():
        file.unlink()
    status, _, remarks = evaluate("--on", "needles")
    assert status == 2
    assert "no run is finished here that could be scored; `mta-lab sweep results/sweeps/asked.yaml" in remarks


def test_a_result_is_added_to_the_runs_entry_in_mlflow(
    evaluate: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where MLflow fails, the record keeps the result and a remark says so."""
    entered: list[str] = []

    def enter(record: object, evaluated: object) -> None:
        entered.append(record.run_id)  # type: ignore[attr-defined]
        if record.run_id == "gone":  # type: ignore[attr-defined]
            raise UserError("MLflow: run gone cannot be added to")

    monkeypatch.setattr("mta_lab.lab.evaluations.enter_evaluated", enter)
    for file, run_id in zip(Records().files(), ("there", "gone"), strict=True):
        file.write_text(json.dumps({**json.loads(file.read_text()), "run_id": run_id}))
    status, _, remarks = evaluate("--on", NEEDLES)
    assert (status, sorted(entered)) == (0, ["gone", "there"])
    assert "MLflow: run gone cannot be added to; the record keeps the result" in remarks
    assert all(len(record.evaluated) == 1 for record in Records().all_finished())


def test_words_name_evaluations_with_their_settings() -> None:
    needles, last = evaluations_of([NEEDLES, "last_word"])
    assert (needles.name, last.name) == ("needles", "last_word")
    assert needles.counts == (1, 2)  # type: ignore[attr-defined]


def test_progress_tells_the_time_that_is_left_from_what_was_done_since(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that a killed process had done took no time now."""
    clock, lines = iter([0.0, 10.0, 50.0, 51.0, 90.0]), list[str]()
    monkeypatch.setattr("mta_lab.lab.lines.time.monotonic", lambda: next(clock))
    progress = Progress(lines.append, "mta seed 0, needles")
    for done in (500, 600, 610, 700):
        progress.advance(done, 1000)
    assert lines == [
        "mta seed 0, needles: 60%, about 2.7 min left",
        "mta seed 0, needles: 70%, about 2.0 min left",
    ]


def test_plain_lines_are_the_progress_of_a_log() -> None:
    with Display(print).progress("x") as advance:
        advance(1, 2)


def test_answers_of_an_unfinished_evaluation_are_in_a_folder_of_their_own() -> None:
    assert Records().answers("ab", "cd") == Path("results/evaluations/ab-cd.jsonl")


@pytest.mark.parametrize("installed", [True, False])
def test_a_plan_says_what_runs_are_asked_and_what_that_lacks(
    installed: bool, lab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mta_lab.lab.extras.find_spec", lambda package: installed or None)
    out = " ".join(lab("plan", "zero_shot", "model.width=32", "model.context=16", "--seeds", "1").out.split())
    assert "is asked: lm_eval(tasks [boolq_stand_in, piqa_stand_in," in out
    assert ("lm_eval: needs lm_eval; type: pip install 'mta-lab[lm-eval]'; runs are trained" in out) is not installed


def test_a_harness_that_is_not_installed_is_one_line_with_what_to_type(
    evaluate: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    status, out, remarks = evaluate("--on", "lm_eval:boolq,piqa")
    assert (status, out) == (2, "")
    assert remarks.endswith("lm_eval: needs lm_eval; type: pip install 'mta-lab[lm-eval]'\n")
    assert remarks.count("\n") == 1


def test_a_list_of_tasks_is_short_for_the_setting() -> None:
    (found,) = evaluations_of(["lm_eval:boolq,mmlu:5"])
    assert found.tasks == ("boolq", "mmlu:5")  # type: ignore[attr-defined]
    (usual,) = evaluations_of(["lm_eval"])
    assert len(usual.tasks) == 9  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="--on: tasks: no such key"):
        evaluations_of(["needles:boolq"])
