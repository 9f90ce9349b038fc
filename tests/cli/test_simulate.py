"""`mta-lab simulate` over made-up results. No model is trained."""

import re
from pathlib import Path

import numpy as np
import pytest

from mta_lab.config import fingerprint
from mta_lab.data import Corpus
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from tests.cli.conftest import Command
from tests.report.examples import finish

OWN = "data.path=mine"


def trained(corpus: Corpus, seeds: int = 3, rows: int | None = None) -> None:
    """Write made-up results of the first seeds and rows of kernel_sizes: noise of 2 %."""
    records, noise = Records(), np.random.default_rng(1)
    sweep = load_sweep("kernel_sizes", scale="nano", settings=[OWN])
    names = [row.name for row in sweep.rows][:rows]
    for run in sweep.runs():
        if run.seed < seeds and run.row in names:
            score = 30 * np.exp(noise.normal(0, 0.02))
            finish(records, fingerprint(run.config, corpus.content_hash), float(score), run.config)


def shares(out: str) -> dict[str, list[float]]:
    """Return the percentages of each line of the table, under the first words of its scenario."""
    lines = [line.split("│") for line in out.splitlines() if line.count("%") >= 3 and "│" in line]
    return {line[1].strip(): [float(found) for found in re.findall(r"([\d.]+)%", "".join(line[2:]))] for line in lines}


def test_the_table_has_the_rates_of_every_kind_of_noise(lab: Command, corpus: Corpus) -> None:
    trained(corpus)
    done = lab("simulate", "kernel_sizes", OWN, "--draws", "400", "--effect", "9%")
    assert done.status == 0, done.err
    found = shares(done.out)
    assert len(found) == 6
    for name, (alarms, coverage, power, row_by_row) in found.items():
        assert alarms < 5 + 3 * 1.1, name
        assert coverage > 90, name
        assert power >= row_by_row, name
    said = " ".join(done.out.split())
    assert "9.0% seen" in said
    assert "Looks at 3 seeds; 400 tables each" in said
    assert "1.1% (standard error)" in said
    assert not list(Path("results").glob("runs/*.pt")), "nothing is trained"


def test_rows_that_are_not_finished_are_as_noisy_as_the_others(lab: Command, corpus: Corpus) -> None:
    trained(corpus, rows=3)
    done = lab("simulate", "kernel_sizes", OWN, "--draws", "200")
    assert done.status == 0, done.err
    assert "4 rows against transformer" in " ".join(done.out.split())


@pytest.mark.parametrize(("seeds", "rows"), [(1, None), (3, 1)])
def test_too_few_runs_are_answered_in_one_line(seeds: int, rows: int | None, lab: Command, corpus: Corpus) -> None:
    trained(corpus, seeds, rows)
    done = lab("simulate", "kernel_sizes", OWN)
    assert done.status == 2
    assert "kernel_sizes: too few runs are finished to tell their noise" in done.err
    assert "`mta-lab sweep kernel_sizes data.path=mine --scale nano` trains what is missing" in done.err


def test_error_rates_are_refused_in_one_line(lab: Command) -> None:
    records = Records()
    for run in load_sweep("toy_task", scale="nano").runs():
        finish(records, fingerprint(run.config, ""), 0.5, run.config, quantity="error_rate")
    said = lab("simulate", "toy_task").complaint
    assert said.startswith("toy_task: is scored by error rate")
    assert said.endswith("simulate draws perplexities, so name a sweep that trains language models")
