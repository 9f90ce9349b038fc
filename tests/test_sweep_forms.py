"""One sweep in any order of keys, dotted or nested, with quoted or bare names, is one plan."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mta_lab.config import RunConfig
from mta_lab.sweep import load_sweep

NAMES = ["off", "1e-3", "5_000", "1.10", "011", "1:30", "groß", "a b", "null", "softmax"]
SETTINGS: Mapping[str, list[Any]] = {
    "attention": ["softmax", "talking_heads", "multi_token"],
    "attention.dropout": [0.1, 0.25],
    "training.learning_rate": ["1e-3", "2.0e-3", 0.004],
    "training.weight_decay": [0, 0.1],
    "training.beta2": [0.9, 0.95],
}
Written = dict[str, Any]
"""settings by dotted key, the component's name by `attention`"""


def nested(row: Written) -> dict[str, Any]:
    """The same settings as sections; a component with settings is a mapping with its name."""
    tree: dict[str, Any] = {}
    for key, value in row.items():
        head, _, rest = key.partition(".")
        section = tree.setdefault(head, {})
        section[rest or "name"] = value
    return tree


def flow(value: Any, quote: bool) -> str:
    """YAML in one line; a number stays bare, a name is quoted or not."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key, quote)}: {flow(one, False)}" for key, one in value.items()) + "}"
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if quote else text


def plan(folder: Path, rows: list[tuple[str, Any]], quote: bool) -> dict[str, RunConfig]:
    file = folder / "sweep.yaml"
    lines = [f"  {flow(name, quote)}: {flow(row, quote)}" for name, row in rows]
    file.write_text("\n".join(["baseline: base", "rows:", "  base: {training.beta1: 0.5}", *lines]), encoding="utf-8")
    return {row.name: row.config for row in load_sweep(str(file), scale="nano").rows}


@st.composite
def sweeps(draw: st.DrawFn) -> list[tuple[str, Written]]:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    rows = []
    for place, name in enumerate(names):
        keys = draw(st.lists(st.sampled_from(sorted(SETTINGS)), unique=True))
        row = {key: draw(st.sampled_from(SETTINGS[key])) for key in keys}
        rows.append((name, {**row, "training.epsilon": f"{place + 1}e-7"}))  # no two rows are the same run
    return rows


def alike(folder: Path, rows: list[tuple[str, Written]], data: st.DataObject) -> None:
    expected = plan(folder, rows, quote=False)
    assert list(expected) == ["base", *(name for name, _ in rows)]
    shuffled: list[tuple[str, Any]] = []
    for name, row in rows:
        again = {key: row[key] for key in data.draw(st.permutations(list(row)))}
        shuffled.append((name, nested(again) if data.draw(st.booleans()) else again))
    assert plan(folder, shuffled, quote=data.draw(st.booleans())) == expected


@given(rows=sweeps(), data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_form_of_a_sweep_has_no_meaning(
    tmp_path: Path, rows: list[tuple[str, Written]], data: st.DataObject
) -> None:
    alike(tmp_path, rows, data)


@pytest.mark.slow
@given(rows=sweeps(), data=st.data())
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_form_of_many_sweeps_has_no_meaning(
    tmp_path: Path, rows: list[tuple[str, Written]], data: st.DataObject
) -> None:
    alike(tmp_path, rows, data)
