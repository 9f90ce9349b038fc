"""The Python API over made-up results: nothing is trained here."""

import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ReadonlyConfigError

import mta_lab
from mta_lab.config import fingerprint
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from tests.report.examples import finish

TOY = {"task": {"name": "find_block", "letters": 3, "blocks": 2, "held_out": 12}, "model": {"vocabulary": 28}}
SWEEP = {
    "title": "My idea",
    "base": TOY,
    "seeds": 2,
    "rows": {"plain": {"attention": "softmax"}, "talking": {"attention": "talking_heads"}},
}


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mta_lab.LoadedSweep:
    """A sweep from a dict, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return mta_lab.load(SWEEP, settings={"training.steps": 900})


def test_importing_the_package_loads_no_library() -> None:
    code = (
        "import mta_lab, sys; print(*(name for name in ('torch', 'rich', 'pandas', 'mlflow') if name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_the_package_says_its_version_and_its_names() -> None:
    assert mta_lab.__version__
    assert all(getattr(mta_lab, name) for name in mta_lab.__all__)
    with pytest.raises(AttributeError, match=r"has no attribute 'lod'"):
        _ = mta_lab.lod


def test_a_dict_is_a_sweep_that_the_command_line_can_go_on_with(sweep: mta_lab.LoadedSweep) -> None:
    assert sweep.rows == ["plain", "talking"]
    assert sweep.seeds == [0, 1]
    again = load_sweep("results/sweeps/my_idea.yaml", scale="nano", settings=["training.steps=900"])
    assert [row.name for row in again.rows] == sweep.rows
    assert {row.config.training.steps for row in again.rows} == {900}


def test_a_plan_is_a_frame_with_a_line_a_row(sweep: mta_lab.LoadedSweep) -> None:
    frame = sweep.plan(workers=1)
    assert list(frame.index) == ["plain", "talking"]
    assert list(frame["runs_to_train"]) == [2, 2]


def test_a_plan_for_a_device_that_is_elsewhere_is_arithmetic(sweep: mta_lab.LoadedSweep) -> None:
    whole, half = (sweep.plan(device=f"memory=80GB,fp32={peak}")["seconds_a_run"] for peak in (1e12, 2e12))
    assert (whole > 0).all()
    assert list(half) == pytest.approx(list(whole / 2))
    with pytest.raises(mta_lab.UserError, match="no device named 'h10'; did you mean 'h100'"):
        sweep.plan(device="h10")
    with pytest.raises(mta_lab.UserError, match="workers: is of this machine"):
        sweep.plan(workers=1, device="h100")


def test_what_is_finished_is_a_table_a_frame_a_figure_and_runs(sweep: mta_lab.LoadedSweep) -> None:
    rows = load_sweep("results/sweeps/my_idea.yaml", scale="nano", settings=["training.steps=900"])
    for run in rows.runs():
        score = 0.5 if run.row == "plain" else 0.25 + 0.01 * run.seed
        finish(Records(), fingerprint(run.config, ""), score, run.config, quantity="error_rate", content_hash="")
    frame = sweep.table().to_frame()
    assert list(frame["finished"]) == [2, 2]
    assert frame.loc["talking", "delta"] < 0
    assert "<table" in sweep.table()._repr_html_()
    picture = sweep.figure("forest")
    assert picture._repr_svg_().lstrip().startswith("<?xml")
    assert picture.save("forest.svg").exists()
    assert sweep.run_of("talking", seed=1).score == 0.26
    assert set(sweep.curves()["row"]) <= {"plain", "talking"}
    assert sweep.plan(workers=1)["runs_to_train"].sum() == 0


def test_mistakes_name_what_is_allowed(sweep: mta_lab.LoadedSweep) -> None:
    with pytest.raises(mta_lab.UserError, match=r"figure: got 'forrest'.*forest"):
        sweep.figure("forrest")
    with pytest.raises(mta_lab.UserError, match=r"no row named 'talkin'.*talking"):
        sweep.run(rows=["talkin"])
    with pytest.raises(mta_lab.UserError, match=r"is not finished here; `mta-lab sweep results/sweeps/my_idea.yaml"):
        sweep.run_of("plain")
    with pytest.raises(mta_lab.UserError, match="load: a sweep holds texts, numbers, lists and dicts only"):
        mta_lab.load({"rows": {"plain": object()}})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"sweep": None}, "load: got a NoneType, allowed: a sweep's name"),
        ({"sweep": ["kernel_sizes"]}, "load: got a list, allowed: a sweep's name"),
        ({"settings": ["training.steps=20"]}, "settings: got a list, allowed: a dict"),
        ({"scale": None}, "no scale named 'None'"),
        ({"components": "gone.py"}, "no such file or directory: gone.py"),
    ],
)
def test_what_load_is_given_is_of_the_right_kind(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(mta_lab.UserError, match=expected):
        mta_lab.load(**{"sweep": "kernel_sizes", **given})


@pytest.mark.parametrize(
    "given",
    [{"workers": 0}, {"workers": 1.5}, {"workers": "2"}, {"workers": True}, {"trial_timeout": 0},
     {"trial_timeout": -1}, {"trial_timeout": float("nan")}, {"trial_timeout": "60"}],
)  # fmt: skip
def test_a_run_takes_numbers_alone(sweep: mta_lab.LoadedSweep, given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(mta_lab.UserError, match=rf"{name}: got .*, allowed: a .*, or None"):
        sweep.run(**given)


@pytest.mark.parametrize("seed", [-1, "0", 0.5, True])
def test_a_seed_is_a_whole_number(sweep: mta_lab.LoadedSweep, seed: Any) -> None:
    with pytest.raises(mta_lab.UserError, match=r"seed: got .*, allowed: a whole number, 0 or more"):
        sweep.run_of("plain", seed=seed)
    with pytest.raises(mta_lab.UserError, match="plain seed 1 is not finished"):
        sweep.run_of("plain", seed=np.int64(1))  # type: ignore[arg-type]  # as a DataFrame holds it


def test_a_worker_that_reads_a_script_anew_trains_nothing(
    sweep: mta_lab.LoadedSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_name", "mta-lab worker 0")
    with pytest.raises(mta_lab.UserError, match='below `if __name__ == "__main__":`'):
        sweep.run()


def test_omegaconf_trees_go_in_and_come_out(sweep: mta_lab.LoadedSweep) -> None:
    again = mta_lab.load(OmegaConf.create(SWEEP), settings=OmegaConf.create({"training.steps": 900}), quiet=True)
    config = again.config("talking")
    assert config == sweep.config("talking")
    assert config.training.steps == 900
    with pytest.raises(ReadonlyConfigError):
        config.training.steps = 1
    with pytest.raises(mta_lab.UserError, match=r"training\.steps"):
        mta_lab.load(SWEEP, settings=OmegaConf.create({"steps": 900, "training.steps": "${steps}"}), quiet=True)
