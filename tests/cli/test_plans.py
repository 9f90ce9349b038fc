"""`--dry-run`, `--budget` and `--check-lr`, over made-up records: nothing is trained here."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mta_lab.config import fingerprint
from mta_lab.data import Corpus
from mta_lab.lab import costs
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.plans import plan, plan_of_one
from mta_lab.results.records import Failure, Records
from mta_lab.sweep import Sweep, load_sweep, shipped_sweeps
from mta_lab.sweep.tune import FACTORS, Tune, begun, tried, tuning_sweep
from tests.cli.conftest import Command
from tests.report.examples import finish
from tests.shipped import shipped

OWN, RATE = "data.path=mine", "training.learning_rate"
SCORES = {"transformer": 31.0, "1x1": 30.5, "2x5": 29.0, "4x9": 30.0}
Keep = Callable[[Sweep, dict[str, float]], None]


@pytest.fixture
def keep(corpus: Corpus) -> Keep:
    """Keep a made-up result for every seed of these rows; a run took 12 s."""

    def finished(sweep: Sweep, scores: dict[str, float]) -> None:
        for run in sweep.runs():
            if run.row in scores:
                name = fingerprint(run.config, corpus.content_hash)
                finish(Records(), name, scores[run.row] + 0.1 * run.seed, run.config)

    return finished


def sizes(seeds: int | None = None) -> Sweep:
    return load_sweep("kernel_sizes", scale="nano", settings=[OWN], seeds=seeds)


def names_shown(out: str) -> list[str]:
    """Return the first column of a plan.

    A name that is too long goes on in the lines below, where no count stands.
    """
    names: list[str] = []
    for line in out.splitlines():
        if line.startswith("│"):
            name, count, *_ = (run.strip() for run in line.strip("│").split("│"))
            if count:
                names.append(name)
            else:
                names[-1] = f"{names[-1]} {name}".strip()
    return names


@pytest.mark.parametrize("setting", ["path=mine", "corpus=stdlib", "mixture={a: 1}", "mixture.a=2"])
@pytest.mark.parametrize(
    "line", ["plan toy_task", "report toy_task", "train task=find_block model.vocabulary=28 model.context=512"]
)
def test_a_text_that_no_run_would_read_is_refused(line: str, setting: str, lab: Command) -> None:
    name = setting.replace("=", ".").split(".")[0]
    said = lab(*line.split(), f"data.{setting}").complaint
    assert f"data.{name}: is for a task that reads text, and 'find_block' makes its sequences; leave it out" in said


@pytest.mark.parametrize("name", shipped_sweeps())
def test_dry_run_names_every_row_and_starts_nothing(name: str, lab: Command, tmp_path: Path) -> None:
    sweep = shipped(name)
    done = lab("sweep", name, "--dry-run")
    assert (done.status, done.err) == (0, "")
    runs = len(sweep.runs())
    assert f"{runs} of {runs} runs to train" in " ".join(done.out.split())
    assert sorted(names_shown(done.out)) == sorted(row.name for row in sweep.rows)  # parents come first there
    assert not list(tmp_path.iterdir())


def test_budget_chooses_the_seeds_by_time_and_says_so(lab: Command, keep: Keep) -> None:
    """One seed of every row is finished and took 12 s: each further seed takes 12 s a row."""
    keep(sizes(seeds=1), {row.name: 30.0 for row in sizes().rows})
    rows = len(sizes().rows)
    done = lab("sweep", "kernel_sizes", OWN, "--budget", f"{12 * rows * 3 + 1}s", "--workers", "1", "--dry-run")
    assert done.status == 0
    said = " ".join(done.out.split())
    assert f"--budget {12 * rows * 3 + 1}s: 4 seeds of every row, about" in said
    assert "on 1 worker" in said
    assert f"{3 * rows} of {4 * rows} runs to train" in said
    assert "Time of a run: recorded." in said


def test_more_workers_afford_more_seeds(lab: Command, keep: Keep) -> None:
    keep(sizes(seeds=1), {row.name: 30.0 for row in sizes().rows})
    budget = ("--budget", f"{12 * len(sizes().rows)}s", "--dry-run")
    assert "2 seeds of every row" in lab("sweep", "kernel_sizes", OWN, *budget, "--workers", "1").out
    assert "3 seeds of every row" in lab("sweep", "kernel_sizes", OWN, *budget, "--workers", "2").out


def test_budget_and_seeds_are_one_too_many(lab: Command) -> None:
    said = lab("sweep", "kernel_sizes", "--budget", "1h", "--seeds", "2", "--dry-run").complaint
    assert "--budget" in said
    assert "--seeds" in said


def test_budget_that_is_no_time_is_answered_in_one_line(lab: Command) -> None:
    assert "--budget: got 'soon', allowed: a time like 45m" in lab("sweep", "masking", "--budget", "soon").complaint


def test_learning_rates_are_checked_over_finished_rows(lab: Command, keep: Keep, tmp_path: Path) -> None:
    """Everything is finished, so nothing trains.

    Shown are the baseline and the best two rows at each rate.
    """
    sweep = sizes()
    best = sorted((row.name for row in sweep.rows if row.name != sweep.baseline), key=len)[:3]
    assert len(best) == 3
    keep(sweep, dict(zip((sweep.baseline, *best), (31.0, 28.0, 29.0, 30.0), strict=True)))
    rows = [row for row in sweep.rows if row.name in (sweep.baseline, *best[:2])]
    tuning = begun(Tune(key=RATE), rows, {}, "")
    tries = tuning_sweep(sweep, tuning, {row: curve.bracket for row, curve in tuning.curves.items()})
    level = {sweep.baseline: 31.0, best[0]: 28.0, best[1]: 29.0}
    rate = rows[0].config.training.learning_rate
    values = {
        tried(row, RATE, factor * rate): score + (factor == 2) - (factor == 1)
        for row, score in level.items()
        for factor in FACTORS
    }
    keep(tries, values)
    before = sorted(path.name for path in Path("results", "runs").iterdir())
    done = lab("sweep", "kernel_sizes", OWN, "--check-lr")
    assert (done.status, done.err) == (0, "")
    ranking = f"{best[0]} before {best[1]} before {sweep.baseline}"
    for where in ("at half the rate", "at once the rate", "at twice the rate", "each row at its best"):
        assert f"{where}: {ranking}" in done.out
    assert f"{best[0]}: {RATE} {rate:g}, the best of {rate / 2:g} (28.00), {rate:g} (27.00)" in " ".join(
        done.out.split()
    )
    assert "The ranking is the same throughout" in done.out
    assert best[2] not in done.out
    assert sorted(path.name for path in Path("results", "runs").iterdir()) == before
    assert not (tmp_path / "mlflow.db").exists()


def test_what_failed_is_left_alone_and_a_retry_is_named(lab: Command, corpus: Corpus, keep: Keep) -> None:
    sweep = sizes(1)
    (run,) = (run for run in sweep.runs() if run.row == "4x9")
    name = fingerprint(run.config, corpus.content_hash)
    Records().fail(Failure(fingerprint=name, label=run.label, reason="no", traceback=""))
    keep(sweep, {row.name: 30.0 for row in sweep.rows if row.name != run.row})
    command = ("kernel_sizes", OWN, "--seeds", "1")
    planned = " ".join(lab("sweep", *command, "--dry-run").out.split())
    assert ("0 of 5 runs to train" in planned, "1 failed" in planned) == (True, True)
    done = lab("sweep", *command)
    assert done.status == 1
    assert "4 of 5 runs are finished, nothing to train" in done.out
    again = f"mta-lab retry kernel_sizes {OWN} --scale nano --seeds 1"
    assert f"1 run failed; `{again}` tries it again" in " ".join(done.out.split())
    keep(sweep, {run.row: 30.0})
    mended = lab("retry", "kernel_sizes", run.row, *command[1:])
    assert mended.status == 0
    assert "no run failed that could be tried again" in mended.out
    assert "trains what is missing" in " ".join(mended.out.split())


def test_a_plan_says_what_trains_it_and_what_tries_it_again(lab: Command, tmp_path: Path) -> None:
    (tmp_path / "own ones").mkdir()
    said = " masking model.heads=2 --scale small --seeds 2 --components 'own ones'"
    under = Conditions(settings=["model.heads=2"], scale="small", seeds=2, components=[Path("own ones")])
    found = plan("masking", under, Display())
    assert (found.command, found.retry) == (f"mta-lab sweep{said}", f"mta-lab retry{said}")
    single = plan_of_one(Conditions(settings=["attention=softmax"]), Display())
    assert single.command == single.retry == "mta-lab train attention=softmax --scale nano"


def test_the_command_of_a_budget_names_its_seeds(lab: Command, keep: Keep) -> None:
    keep(sizes(seeds=1), {row.name: 30.0 for row in sizes().rows})
    found = plan("kernel_sizes", Conditions(settings=[OWN]), Display())
    found, _ = costs.within(found, 12.0 * len(sizes().rows), 1, lambda line: None)
    assert found.command == f"mta-lab sweep kernel_sizes {OWN} --scale nano --seeds {len(found.sweep.seeds)}"
    assert len(found.sweep.seeds) == 2


def test_learning_rates_of_nothing_finished_are_answered_in_one_line(lab: Command, corpus: Corpus) -> None:
    said = lab("sweep", "kernel_sizes", OWN, "--check-lr").complaint
    train = f"`mta-lab sweep kernel_sizes {OWN} --scale nano`"
    assert said == f"--check-lr: no row is finished, so there is nothing to check; run {train} first"


def test_a_row_that_is_left_out_is_said_below_the_plan(lab: Command, tmp_path: Path) -> None:
    rows = "  base: {}\n  deep: {training.epsilon: 1e-7, if: model.layers >= 1000}\n"
    (tmp_path / "mine.yaml").write_text(f"rows:\n{rows}")
    said = " ".join(lab("sweep", "mine.yaml", "--dry-run").out.split())
    assert "Row 'deep' is left out: its condition `model.layers >= 1000` does not hold: model.layers is" in said
