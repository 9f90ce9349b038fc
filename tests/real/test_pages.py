"""The report page and MLflow's pages as a reader sees them, in a real browser."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mta_lab.report import Table
from mta_lab.report.files import write_page
from mta_lab.sweep import load_sweep
from mta_lab.tracking.view import KEY
from tests.real.browser import CHROMIUM, Browser, browser
from tests.real.test_dashboard import COMMAND, address, ask, environment, search_runs, swept
from tests.report.examples import table_of

__all__ = ["address", "swept"]  # fixtures
pytestmark = [pytest.mark.real, pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")]
CELLS = "Array.from(document.querySelector('table').rows, row => Array.from(row.cells, cell => cell.innerText.trim()))"
FITS = "document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def whole_table(folder: Path) -> Table:
    """Every row of the largest sweep, with made-up results."""
    sweep = load_sweep("components", scale="nano")
    scores = {
        row.name: {seed: 30.0 + place / 9 + seed / 5 for seed in range(3)} for place, row in enumerate(sweep.rows)
    }
    changes: dict[str, Any] = {"tokens_per_second": 1.5e4, "run_id": "1f" * 16}
    return table_of(folder, scores, sweep=sweep, changes={row.name: changes for row in sweep.rows})


@pytest.mark.parametrize(("width", "dark"), [(1300, False), (1300, True), (390, False)])
def test_the_largest_page_is_small_and_quiet(
    width: int, dark: bool, page: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = whole_table(tmp_path)
    file = write_page(table, "mta-lab sweep components", "http://127.0.0.1:5000").resolve()
    assert file.stat().st_size < 3e6
    page.open(file.as_uri(), width, dark)
    assert page.value(FITS)
    edge = page.value("document.querySelector('table').rows[2].cells[2].getBoundingClientRect().right")
    assert "delta" in page.value("document.querySelector('table').rows[0].cells[2].innerText")
    assert edge <= width, "the delta is seen without scrolling, on a phone too"
    assert (page.requests, page.errors) == ([file.as_uri()], [])
    colours = page.value("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    ground, ink = (sum(map(int, colour[4:-1].split(","))) for colour in colours)
    assert (ground < ink) is dark


def test_the_page_of_a_sweep_shows_the_numbers_of_its_json(page: Browser, swept: Path) -> None:
    def report(*options: str) -> str:
        command = [*COMMAND, "report", "heads.yaml", *options]
        return subprocess.run(command, cwd=swept, env=environment(), check=True, capture_output=True, text=True).stdout

    report("--html")
    found = json.loads(report("--format", "json"))
    page.open((swept / "results/pages/heads-nano.html").as_uri())
    head, *lines = page.value(CELLS)
    assert len(lines) == len(found["rows"]) == 2
    for line, row in zip(lines, found["rows"], strict=True):
        cells = dict(zip(head, line, strict=True))
        assert cells["row"] == row["row"]
        assert cells["perplexity, by seed"].split() == [f"{score:.2f}" for score in row["scores"].values()]
        assert cells["mean"] == f"{row['mean']:.2f}"
        if row["delta"] is not None:
            low, high = row["interval"]
            assert cells["delta [95 %]"] == f"{row['delta']:+.2%} [{low:+.2%}, {high:+.2%}]"
    assert (page.requests, page.errors) == ([(swept / "results/pages/heads-nano.html").as_uri()], [])


def test_mlflow_opens_the_view_of_the_sweep(page: Browser, swept: Path, address: str) -> None:
    url = f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=heads-nano"
    experiment = ask(url)["experiment"]["experiment_id"]
    page.open(f"{address}/#/experiments/{experiment}/runs?compareRunsMode=CHART&viewStateShareKey={KEY}")
    page.wait_for("document.body.innerText.includes('The sweep')")
    page.wait_for("document.body.innerText.includes('heads-nano: perplexity by row')")
    page.wait_for("document.querySelectorAll('.js-plotly-plot').length >= 3")
    for row in ("plain", "talking"):
        page.wait_for(f"document.body.innerText.includes('Group: {row}')")


def test_the_address_of_a_run_needs_no_experiment(page: Browser, address: str) -> None:
    url = f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=heads-nano"
    run, *_ = search_runs(address, ask(url)["experiment"]["experiment_id"], "tags.row = 'talking'")
    page.open(f"{address}/#/runs/{run['info']['run_id']}")
    page.wait_for(f"document.body.innerText.includes('{run['info']['run_name']}')")
