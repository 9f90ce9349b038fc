"""The error rates of the tables that ship, under the noise of their own runs."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from mta_lab.stats.blocks import Blocks
from mta_lab.stats.simulation import Family, scenarios, simulate
from mta_lab.sweep.files import SHIPPED

DRAWS = 4000
TABLES = {file.stem: json.loads(file.read_text()) for file in sorted(Path(str(SHIPPED)).glob("results/*.json"))}
GROUPS = [
    (name, baseline)
    for name, table in TABLES.items()
    if table["delta_unit"] == "relative"
    for baseline in table["baselines"]
]


@pytest.mark.slow
@pytest.mark.parametrize("looks", [(3,), (5,), (3, 6, 12)], ids=str)
@pytest.mark.parametrize(("name", "baseline"), GROUPS, ids=" against ".join)
def test_false_alarms_are_rare_with_the_noise_of_each_shipped_table(
    name: str, baseline: str, looks: tuple[int, ...]
) -> None:
    rows = [row for row in TABLES[name]["rows"] if baseline in (row["row"], row["baseline"]) and row["role"] != "A/A"]
    scores = [row["scores"] for row in sorted(rows, key=lambda row: row["row"] != baseline) if len(row["scores"]) > 1]
    seeds = sorted({seed for row in scores for seed in row})
    logs = np.log(np.array([[row.get(seed, math.nan) for seed in seeds] for row in scores]))
    blocks = Blocks(~np.isnan(logs))
    residuals = np.where(blocks.there, blocks.residuals(logs)[1], np.nan)
    deviations = np.sqrt(blocks.fit(logs).variances)
    family = Family(looks=looks, compared=len(scores) - 1, effect=0.05)
    for scenario in scenarios(deviations, residuals):
        if scenario.name in ("rows as noisy as these", "residuals drawn from these"):
            found = simulate(scenario, family, DRAWS)
            assert found.false_alarms < 0.055 + 3 * math.sqrt(0.055 * 0.945 / DRAWS), scenario.name
