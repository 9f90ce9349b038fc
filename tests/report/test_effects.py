"""Effects by factor: what counts as a factor, and what the fit says of it."""

import csv
import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mta_lab.report import markdown
from mta_lab.report.data import document
from mta_lab.report.effects import Effects, effects_of
from mta_lab.report.effects_section import TITLE
from mta_lab.report.factors import Design, design_of
from mta_lab.report.run_lines import as_csv
from mta_lab.sweep import Sweep, load_sweep
from tests.report.examples import CLEAR, table_of

RESULTS = Path(__file__).parents[2] / "sweeps" / "results"


def design(sweep: str, baseline: str = "transformer") -> Design:
    rows = {row.name: row.config for row in load_sweep(sweep, scale="nano").rows if not row.config.stream}
    return design_of(rows, baseline)


def measured(name: str, folder: Path) -> Effects | None:
    """Return the effects of the scores that a committed table shows."""
    rows = json.loads((RESULTS / f"{name}.json").read_text())["rows"]
    scores = {row["row"]: {int(seed): score for seed, score in row["scores"].items()} for row in rows}
    seeds = max(map(len, scores.values()))
    sweep = load_sweep(name.removesuffix("-nano"), scale="nano", seeds=seeds)
    # The table is older than the looks of its sweep.
    return effects_of(table_of(folder, scores, sweep=replace(sweep, looks=())))


def said_by(name: str) -> set[str]:
    """Return the effects of a row that is named like `14 kq post, head pre+post, depth`."""
    if name == "talking heads":
        return {"pre_softmax: head_mixing", "post_softmax: head_mixing"}
    *operations, norm = re.sub("^[0-9]+ ", "", name).split(", ")
    named = [(words.split()[-1].split("+"), words.startswith("kq")) for words in operations]
    places = {f"{place}_softmax: {'key_query' if kq else 'head_mixing'}" for each, kq in named for place in each}
    return places | {f"norm: {norm}"}


def made_up(sweep: Sweep, effects: Mapping[str, float]) -> dict[str, dict[int, float]]:
    """Return scores without noise in which the settings of a row have these effects, log-added."""
    rows = {row.name: row.config for row in sweep.rows if not row.config.stream}
    columns = {name: column.rows for column in design_of(rows, sweep.rows[0].name).columns for name in column.names}
    sums = {row: sum(effect for name, effect in effects.items() if row in columns[name]) for row in rows}
    return {row: {seed: 30.0 * math.exp(total + 0.01 * seed) for seed in sweep.seeds} for row, total in sums.items()}


def test_the_components_have_the_effects_of_least_squares_over_what_their_names_say(tmp_path: Path) -> None:
    found = measured("components-nano", tmp_path)
    rows = json.loads((RESULTS / "components-nano.json").read_text())["rows"]
    scores = {row["row"]: list(row["scores"].values()) for row in rows if row["row"] not in ("A/A", "differential")}
    effects = [f"{place}: {name}" for place in ("pre_softmax", "post_softmax") for name in ("key_query", "head_mixing")]
    effects += [f"norm: {name}" for name in ("gate", "depth", "plain", "layer_norm")]
    design = [[1.0, *(effect in said_by(name) for effect in effects)] for name in scores]
    logs = [math.log(np.mean(one)) for one in scores.values()]
    solved = np.linalg.lstsq(np.array(design, float), np.array(logs), rcond=None)[0][1:]
    ours = {effect.name: math.log1p(effect.ours.value) for effect in found.effects}
    assert ours == pytest.approx(dict(zip(effects, solved, strict=True)), abs=1e-9)
    assert round(found.fit.explained, 2) == 0.94
    assert found.fit.degrees == 10
    assert found.design.left_out == ("differential",)
    assert found.design.beyond == ("pre_softmax.key_query.kernel",)
    operations = [effect for effect in found.effects if "softmax" in effect.name]
    assert all(effect.paper.value < 0 for effect in operations), "the paper's have the same signs"
    assert found.paper_rows == 19


def test_a_grid_of_kernels_has_a_factor_for_queries_and_one_for_keys(tmp_path: Path) -> None:
    found = measured("kernel_grid-nano", tmp_path)
    assert [effect.name for effect in found.effects] == [
        "norm: none + no pre_softmax: key_query",
        "pre_softmax.key_query.kernel[0]: 6",
        "pre_softmax.key_query.kernel[0]: 12",
        "pre_softmax.key_query.kernel[1]: 11",
        "pre_softmax.key_query.kernel[1]: 21",
    ]
    assert len(found.effects[1].column.rows) == 3


def test_effects_that_were_put_into_one_component_at_a_time_come_out_again(tmp_path: Path) -> None:
    sweep = load_sweep("leave_one_out", scale="nano")
    put = {"pre_softmax: key_query": -0.05, "post_softmax: head_mixing": 0.02, "norm: gate": 0.1}
    found = effects_of(table_of(tmp_path, made_up(sweep, put), sweep=sweep))
    for effect in found.effects:
        assert effect.ours.value == pytest.approx(math.expm1(put.get(effect.name, 0.0)), abs=1e-9)
    assert len(found.effects) == 11
    assert found.fit.explained == pytest.approx(1.0)


def test_a_setting_that_another_decides_is_no_factor() -> None:
    """The toy task's kernel is twice as wide as its blocks: the letters decide it."""
    found = design("toy_task", "transformer 5 all")
    assert [column.names for column in found.columns] == [
        ("task.letters: 8",),
        ("task.answer: first",),
        ("task.answer: last",),
        ("pre_softmax: key_query",),
    ]
    assert found.beyond == ("pre_softmax.key_query.kernel",)


def test_settings_that_always_go_together_share_one_effect() -> None:
    assert ("pre_softmax: key_query", "post_softmax: head_mixing") in [
        column.names for column in design("normalization").columns
    ]


@pytest.mark.parametrize("name", ["kernel_sizes", "head_kernel", "kernel_init", "masking", "softmax_order"])
def test_rows_that_are_no_factorial_have_no_effects(name: str, tmp_path: Path) -> None:
    """One factor alone says what its rows say, and some effects cannot be told apart."""
    assert measured(f"{name}-nano", tmp_path) is None


def test_unfinished_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    sweep = load_sweep("components", scale="nano")
    scores: dict[str, Any] = made_up(sweep, {"norm: depth": 0.1})
    del scores["4 kq pre, head pre+post, none"][2]
    found = effects_of(table_of(tmp_path, scores, sweep=sweep))
    assert "4 kq pre, head pre+post, none" not in found.design.rows
    assert found.unfinished == 1


def test_effects_between_looks_are_of_the_seeds_that_verdicts_are_of(tmp_path: Path) -> None:
    sweep = replace(load_sweep("components", scale="nano"), looks=(3, 5))
    scores = made_up(sweep, {"norm: depth": 0.1})
    first = {row: {seed: of[seed] for seed in range(3)} for row, of in scores.items()}
    further = {**first, "differential": scores["differential"], "transformer": {**first["transformer"], 3: 99.0}}
    found = [effects_of(table_of(tmp_path / name, of, sweep=sweep)) for name, of in (("1", first), ("2", further))]
    assert found[0].effects == found[1].effects
    assert found[0].unfinished == 0


def test_every_format_shows_ours_beside_the_papers(tmp_path: Path) -> None:
    sweep = load_sweep("components", scale="nano")
    table = table_of(tmp_path, {**made_up(sweep, {"norm: depth": 0.1}), "A/A": {}}, sweep=sweep)
    shown = markdown(table)
    assert TITLE in shown
    line = next(line for line in shown.splitlines() if line.startswith("| norm: depth"))
    assert line.startswith("| norm: depth | 8 of 19 | +10.52% [+10.52%, +10.52%] | ")
    assert line.endswith(" | -0.45% [-0.95%, +0.06%] |")
    assert "Left out, as another attention: differential" in shown
    effects = document(table)["effects"]["effects"]
    depth = next(effect for effect in effects if effect["names"] == ["norm: depth"])
    assert depth["effect"] == pytest.approx(math.expm1(0.1))
    assert depth["published_effect"] < 0
    lines = {line["row"]: line for line in csv.DictReader(as_csv(table).splitlines())}
    own = lines["7 kq pre, head post, depth"]
    assert float(own["row.effect.norm: depth"]) == depth["effect"]
    assert float(own["published_effect.norm: depth"]) == depth["published_effect"]
    assert own["row.effect.norm: gate"] == lines["transformer"]["row.effect.norm: depth"] == "", "levels it lacks"


def test_a_table_without_effects_has_none_in_json(tmp_path: Path) -> None:
    assert document(table_of(tmp_path, CLEAR))["effects"] is None
