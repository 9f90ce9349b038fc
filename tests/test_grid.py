"""`grid:` and `zip:` in a row: the rows that they make, their names, and mistakes in them."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mta_lab.config import nested, read_yaml
from mta_lab.errors import UserError
from mta_lab.sweep import Sweep, load_sweep
from mta_lab.sweep.files import SHIPPED
from tests.test_sweep import load

RATE, BETA = "training.learning_rate", "training.beta2"


def rows_of(folder: Path, rows: dict[str, Any]) -> Sweep:
    """The sweep of these rows, over a first one that no other equals."""
    return load(folder, {"rows": {"base": {"training.epsilon": 1e-7}, **rows}})


def names_of(folder: Path, row: str, **contents: Any) -> list[str]:
    return [found.name for found in rows_of(folder, {row: contents}).rows[1:]]


def kernel(queries: int, keys: int, **beside: Any) -> dict[str, Any]:
    return {"attention.pre_softmax": [{"name": "key_query", "kernel": [queries, keys]}], **beside}


MODELS = {"differential": "differential", "talking heads": "talking_heads", "mta": "multi_token"}
SIZES = {"1/2": 0.5, "3/4": 0.75, "1": 1, "3/2": 1.5}


def scaled(size: str, factor: float) -> dict[str, Any]:
    """The rows of `scaling` at one size, each written out."""
    times = {"times": {"model.width": factor}} if factor != 1 else {}

    def published(name: str) -> dict[str, str]:
        return {"published": f"table2.{name}"} if factor == 1 else {}

    others = {
        f"{model} x{size}": {"attention": name, "against": f"transformer x{size}", **times, **published(name)}
        for model, name in MODELS.items()
    }
    return {f"transformer x{size}": {**times, **published("transformer")}, **others}


WRITTEN_OUT: dict[str, dict[str, Any]] = {
    "kernel_grid": {
        "transformer": {"attention": "softmax", "published": "table2.transformer"},
        "1x1": kernel(1, 1),
        "1x11": kernel(1, 11),
        "1x21": kernel(1, 21),
        "6x1": kernel(6, 1),
        "6x11": kernel(6, 11, published="table5.12"),
        "6x21": kernel(6, 21),
        "12x1": kernel(12, 1),
        "12x11": kernel(12, 11),
        "12x21": kernel(12, 21),
    },
    "scaling": {name: row for size, factor in SIZES.items() for name, row in scaled(size, factor).items()},
}


@pytest.mark.parametrize("scale", ["nano", "paper-880m"])
@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_a_shipped_grid_plans_what_its_written_out_rows_do(name: str, scale: str, tmp_path: Path) -> None:
    file = {**read_yaml(SHIPPED / f"{name}.yaml", name), "rows": WRITTEN_OUT[name]}
    made, written = load_sweep(name, scale=scale), load(tmp_path, file, scale=scale)
    assert made.rows == written.rows
    assert (made.baseline, made.runs()) == (written.baseline, written.runs())


OPS = [[], [{"name": "key_query", "kernel": [4, 9]}, "head_mixing"]]
NAMES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("lr", {"grid": {RATE: [1e-3, 2e-3]}}, ["lr 0.001", "lr 0.002"]),
    ("lr", {"zip": {RATE: [1e-3, 2e-3], BETA: [0.9, 0.99]}}, ["lr 0.001, 0.9", "lr 0.002, 0.99"]),
    ("$r of $b", {"grid": {"$b": [0.9], "$r": [1e-3, 2e-3]}, RATE: "$r", BETA: "$b"}, ["0.001 of 0.9", "0.002 of 0.9"]),
    ("$size", {"grid": {"$size": {"small": {RATE: 1e-3}, "large": {RATE: 2e-3}}}}, ["small", "large"]),
    ("$kernel", {"attention": {"name": "multi_token", "pre_softmax": [{"name": "key_query", "kernel": "$kernel"}]},
                 "grid": {"$kernel": [[2, 3], [4, 9]]}}, ["2x3", "4x9"]),
    ("mta", {"attention": "multi_token", "grid": {"attention": {"norm": ["gate", "none"]}}}, ["mta gate", "mta none"]),
    ("ops", {"attention": "multi_token", "grid": {"attention.pre_softmax": OPS}},
     ["ops []", "ops key_query 4x9 + head_mixing"]),
    ("a", {"grid": {BETA: [0.9, 0.99]}, "zip": {RATE: [1e-3, 2e-3]}},
     ["a 0.9, 0.001", "a 0.9, 0.002", "a 0.99, 0.001", "a 0.99, 0.002"]),
]  # fmt: skip


@pytest.mark.parametrize(("row", "contents", "expected"), NAMES, ids=[str(names[-1][0]) for names in NAMES])
def test_rows_are_named_by_what_is_varied(
    row: str, contents: dict[str, Any], expected: list[str], tmp_path: Path
) -> None:
    assert names_of(tmp_path, row, **contents) == expected


def test_a_name_stands_in_settings_times_against_and_published(tmp_path: Path) -> None:
    row = {
        "grid": {"$factor": [2, 3], "$model": {"softmax": {}, "talking_heads": {"against": "softmax $factor"}}},
        "attention": "$model",
        "times": {"model.width": "$factor"},
        "published": {"talking_heads 3": "table2.talking_heads"},
    }
    found = {made.name: made for made in rows_of(tmp_path, {"$model $factor": row}).rows}
    width = found["base"].config.model.width
    last = found["talking_heads 3"]
    assert (last.config.attention.name, last.config.model.width, last.baseline) == (
        "talking_heads",
        3 * width,
        "softmax 3",
    )
    assert [name for name, made in found.items() if made.references] == ["talking_heads 3"]


def test_the_ranges_of_a_search_keep_their_names(tmp_path: Path) -> None:
    search = {"space": {"rate": {"from": 1e-3, "to": 1e-2}}}
    row = {"grid": {"$r": [0.9, 0.99]}, BETA: "$r", RATE: "$rate"}
    sweep = load(tmp_path, {"search": search, "rows": {"base": {}, "beta $r": row}})
    assert sweep.search
    assert [*sweep.search.templates] == ["beta 0.9", "beta 0.99"]
    assert sweep.search.config("beta 0.99", {"rate": 5e-3}).training.learning_rate == 5e-3


BAD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "nothing varied": ({"a": {"grid": {}}}, ("rows.a: grid: got {}", "a mapping")),
    "no mapping": ({"a": {"zip": [1]}}, ("rows.a: zip: got [1]", "a mapping")),
    "empty list": ({"a": {"grid": {RATE: []}}}, (f"rows.a: grid.{RATE}: got []", "not empty")),
    "a value and no list": ({"a": {"grid": {"training": {"beta2": 0.9}}}}, (f"grid.{BETA}: got 0.9", "a list")),
    "one within another": ({"a": {"grid": {"zip": {RATE: [1e-3]}}}}, ("rows.a: grid.zip: got one within another",)),
    "no settings": ({"$a": {"grid": {"$a": {"x": 3}}}}, ("rows.$a: grid.$a.x: got 3", "a mapping of settings")),
    "unequal zip": (
        {"a": {"zip": {RATE: [1e-3, 2e-3], BETA: [0.9]}}},
        (f"rows.a: zip.{BETA}: has 1 value and {RATE} has 2", "allowed: as many"),
    ),
    "varied twice": (
        {"a": {"grid": {RATE: [1e-3], "training": {"learning_rate": [2e-3]}}}},
        (f"rows.a: grid.{RATE}: is varied twice",),
    ),
    "varied in both": ({"a": {"grid": {RATE: [1e-3]}, "zip": {RATE: [2e-3]}}}, (f"{RATE}: is set twice",)),
    "set and varied": (
        {"a": {"training": {"learning_rate": 1e-3}, "grid": {RATE: [2e-3]}}},
        (f"rows.a (a 0.002): {RATE}: is set twice",),
    ),
    "misspelt setting": (
        {"a": {"grid": {"training.learning_rat": [1e-3]}}},
        ("rows.a (a 0.001)", f"did you mean '{RATE}'"),
    ),
    "misspelt name": ({"a": {"grid": {"$rate": [1e-3]}, RATE: "$rat"}}, ("rows.a: $rat:", "did you mean 'rate'?")),
    "misspelt name in the row's": (
        {"$x": {"grid": {"$rate": [1e-3]}, RATE: "$rate"}},
        ("rows.$x: $x:", "names: $rate"),
    ),
    "unused name": ({"$r": {"grid": {"$r": [1, 2]}}}, ("rows.$r: $r: no setting of the row uses it",)),
    "misspelt grid": ({"a": {"gird": {RATE: [1e-3]}}}, ("rows.a: gird: no such key", "did you mean 'grid'?")),
    "an explicit row's name": (
        {"a 0.001": {BETA: 0.5}, "a": {"grid": {RATE: [1e-3]}}},
        ("rows.a: makes a row 'a 0.001', which rows.a 0.001 is or makes",),
    ),
    "an explicit row's name below": (
        {"a": {"grid": {RATE: [1e-3]}}, "a 0.001": {BETA: 0.5}},
        ("rows.a: makes a row 'a 0.001', which rows.a 0.001 is or makes",),
    ),
    "another grid's name": (
        {"$r": {"grid": {"$r": [1e-3]}, RATE: "$r"}, "$b": {"grid": {"$b": [1e-3]}, BETA: "$b"}},
        ("rows.$b: makes a row '0.001', which rows.$r is or makes",),
    ),
    "one name twice": (
        {"a": {"grid": {RATE: [1e-3, 1e-3]}}},
        ("rows.a: makes two rows named 'a 0.001'", "vary no value twice"),
    ),
    "name with '='": ({"$r": {"grid": {"$r": {"a=b": {RATE: 1e-3}}}}}, ("rows.$r (a=b)", "'='")),
    "published for no row": (
        {"a": {"grid": {RATE: [1e-3]}, "published": {"a 0.01": "table2.transformer"}}},
        ("rows.a: published.a 0.01: no row of this name", "did you mean 'a 0.001'?"),
    ),
    "too many": ({"a": {"grid": {RATE: [*range(101)], BETA: [*range(100)]}}}, ("makes 10,100 rows", "10,000")),
    "a seed": ({"a": {"grid": {"seed": [1, 2]}}}, ("rows.a (a 1): seed: not a setting", "--seeds")),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_grid_is_said_in_one_line_with_file_and_key(name: str, tmp_path: Path) -> None:
    rows, expected = BAD[name]
    with pytest.raises(UserError) as caught:
        rows_of(tmp_path, rows)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'norms.yaml'}: ")
    assert "\n" not in message
    for text in expected:
        assert text in message


def test_an_empty_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"grid.training.beta2: got nothing as value 2"):
        load(tmp_path, "rows: {a: {grid: {training.beta2: [0.9, ~]}}}")


VALUES: dict[str, list[Any]] = {
    "attention": ["softmax", "talking_heads", {"name": "multi_token", "norm": "gate"}],
    RATE: [1e-3, 2e-3, 0.004],
    "training.weight_decay": [0, 0.2],
    BETA: [0.9, 0.99],
}


@st.composite
def varied(draw: st.DrawFn) -> dict[str, list[Any]]:
    keys = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True))
    return {
        key: [VALUES[key][place] for place in draw(st.permutations(range(len(VALUES[key]))))]
        if draw(st.booleans())
        else VALUES[key][:1]
        for key in keys
    }


@given(columns=varied(), nest=st.booleans(), first=st.booleans(), names=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_grid_is_its_written_out_rows(
    columns: dict[str, list[Any]], nest: bool, first: bool, names: bool, tmp_path: Path
) -> None:
    """However its keys are ordered, dotted or nested, settings or `$NAME`s."""
    written = [dict(zip(columns, values, strict=True)) for values in product(*columns.values())]
    beside: dict[str, Any] = {"training.epsilon": 1e-6}
    if names:
        grid: dict[str, Any] = {f"$n{place}": values for place, values in enumerate(columns.values())}
        beside |= {key: f"$n{place}" for place, key in enumerate(columns)}
    else:
        grid = nested(columns.items()) if nest and "attention" not in columns else columns
    row = {"grid": grid, **beside} if first else {**beside, "grid": grid}
    made = rows_of(tmp_path, {"x": row}).rows
    expected = rows_of(
        tmp_path, {str(place): {"training.epsilon": 1e-6, **one} for place, one in enumerate(written)}
    ).rows
    if not nest or names:
        assert [one.config for one in made] == [one.config for one in expected]
    else:  # a section gathers keys that stood apart
        assert {one.config for one in made} == {one.config for one in expected}


@given(columns=varied())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_zip_is_its_written_out_rows(columns: dict[str, list[Any]], tmp_path: Path) -> None:
    length = min(map(len, columns.values()))
    cut = {key: values[:length] for key, values in columns.items()}
    written = {str(place): {key: values[place] for key, values in cut.items()} for place in range(length)}
    made = rows_of(tmp_path, {"x": {"zip": cut}}).rows
    assert [one.config for one in made] == [one.config for one in rows_of(tmp_path, written).rows]
