"""A sweep file: its rows, cells and references, and what is said about a bad one."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.attention import MultiToken, Softmax
from components.norms import Depth, Plain
from mta_lab.errors import UserError
from mta_lab.sweep import Sweep, load_sweep, single_run
from tests.config.helpers import config

GOOD: dict[str, Any] = {
    "title": "Norms",
    "about": "Which norm.\n",
    "base": {"attention": {"name": "multi_token", "norm": "depth"}, "training.weight_decay": 0.1},
    "baseline": "softmax",
    "seeds": 2,
    "rows": {
        "depth": {"published": "table5.2"},
        "softmax": {"attention": "softmax", "published": "table2.transformer"},
        "plain": {"attention.norm": "plain", "training.weight_decay": 0.2},
    },
}


def load(folder: Path, file: dict[str, Any] | str | bytes, *settings: str, **options: Any) -> Sweep:
    """The sweep that `file` describes, written to norms.yaml."""
    text = file if isinstance(file, str | bytes) else yaml.safe_dump(file, sort_keys=False)
    path = folder / "norms.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_sweep(str(path), settings=settings, **{"scale": "nano", **options})


def test_rows_are_resolved_over_base_and_scale(tmp_path: Path) -> None:
    sweep = load(tmp_path, GOOD)
    depth, softmax, plain = sweep.rows
    assert (sweep.name, sweep.title, sweep.about, sweep.scale) == ("norms", "Norms", "Which norm.", "nano")
    assert [row.name for row in sweep.rows] == ["depth", "softmax", "plain"]
    assert depth.config.attention == MultiToken(norm=Depth())
    assert softmax.config.attention == Softmax()
    assert plain.config.attention == MultiToken(norm=Plain())
    assert [row.config.training.weight_decay for row in sweep.rows] == [0.1, 0.1, 0.2]


def test_command_line_ranks_above_every_row(tmp_path: Path) -> None:
    sweep = load(tmp_path, GOOD, "training.weight_decay=0.3", "model.heads=1")
    assert [row.config.training.weight_decay for row in sweep.rows] == [0.3] * 3
    assert {row.config.model.heads for row in sweep.rows} == {1}
    assert sweep.rows[2].config.attention == MultiToken(norm=Plain())


def test_difference_is_taken_against_the_baseline(tmp_path: Path) -> None:
    depth, softmax, plain = load(tmp_path, GOOD).rows
    assert softmax.difference == {}
    assert depth.difference["attention.norm.name"] == "depth"
    assert "training.weight_decay" not in depth.difference
    assert plain.difference["training.weight_decay"] == 0.2


def test_published_values_come_from_the_ledger_by_reference(tmp_path: Path) -> None:
    rows = load(tmp_path, GOOD).rows
    assert [row.published.get("perplexity") for row in rows] == [10.92, 11.25, None]
    assert [row.references for row in rows] == [("table5.2",), ("table2.transformer",), ()]


def test_a_seed_is_finished_over_all_rows_before_the_next_begins(tmp_path: Path) -> None:
    cells = load(tmp_path, GOOD).cells()
    order = [(seed, row) for seed in (0, 1) for row in ("depth", "softmax", "plain")]
    assert [(cell.seed, cell.row) for cell in cells] == order
    assert all(cell.config.seed == cell.seed for cell in cells)
    assert cells[4].label == "softmax seed 1"
    assert cells[1].config.model == cells[4].config.model


def test_number_of_seeds(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).seeds == (0, 1)
    assert load(tmp_path, GOOD, seeds=4).seeds == (0, 1, 2, 3)
    assert load(tmp_path, {"rows": {"a": {}}}).seeds == (0, 1, 2)


def test_more_seeds_keep_the_cells_of_fewer(tmp_path: Path) -> None:
    few, many = load(tmp_path, GOOD, seeds=1).cells(), load(tmp_path, GOOD, seeds=3).cells()
    assert many[: len(few)] == few


def test_defaults_of_a_short_file(tmp_path: Path) -> None:
    sweep = load(tmp_path, {"rows": {"first": None, 2: {"attention": "differential"}}})
    assert (sweep.title, sweep.about, sweep.baseline) == ("norms", "", "first")
    assert [row.name for row in sweep.rows] == ["first", "2"]


def test_one_run_is_a_sweep_of_one_cell() -> None:
    run = config("attention=differential", "seed=5")
    (cell,) = single_run(run).cells()
    assert (cell.config, cell.seed, cell.row) == (run, 5, "differential")


def but(**changes: Any) -> dict[str, Any]:
    """GOOD with other values."""
    return {**GOOD, **changes}


BAD: dict[str, tuple[Any, tuple[str, ...]]] = {
    "unknown key": (but(rowz={}), ("rowz", "did you mean 'rows'?")),
    "no rows": ({"title": "x"}, ("rows", "None", "a mapping")),
    "empty rows": (but(rows={}), ("rows", "{}", "a mapping")),
    "rows as a list": (but(rows=["a"]), ("rows", "['a']", "a mapping")),
    "row as a number": (but(rows={"softmax": 3}), ("rows.softmax", "3", "a mapping")),
    "base as a number": (but(base=3), ("base", "3", "a mapping")),
    "baseline without a row": (but(baseline="sofmax"), ("baseline", "'sofmax'", "did you mean 'softmax'?")),
    "unknown key in base": (but(base={"model.headz": 2}), ("base", "model.headz", "'model.heads'")),
    "wrong type in a row": (
        but(rows={"softmax": {"model.heads": "x"}}),
        ("rows.softmax", "model.heads", "'x'", "a whole number"),
    ),
    "unknown reference": (
        but(rows={"softmax": {"published": "table5.99"}}),
        ("rows.softmax", "published", "'table5.99'", "did you mean 'table5.9'?"),
    ),
    "unknown table": (but(rows={"softmax": {"published": "table99.1"}}), ("rows.softmax", "'table99.1'")),
    "reference to another quantity": (but(rows={"softmax": {"published": "table8.transformer"}}), ("no perplexity",)),
    "no seeds": (but(seeds=0), ("seeds", "0", "1 or more")),
    "seeds as a text": (but(seeds="many"), ("seeds", "'many'", "1 or more")),
    "seeds as a truth value": (but(seeds=True), ("seeds", "True", "1 or more")),
    "not YAML": ("rows: {a: [\n", ("not a YAML file",)),
    "duplicate row": ("rows: {a: {}, a: {}}\n", ("not a YAML file", "duplicate key a")),
    "interpolation": ("rows: {a: {model.heads: '${x}'}}\n", ("not a YAML file", "'x'")),
    "list": ("- a\n", ("a mapping with title",)),
    "text": ("hello\n", ("hello", "title, about")),
    "empty": ("", ("rows", "None")),
    "not text": (b"\xff\xfe\x00", ("not a YAML file",)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_said_in_one_line_with_file_and_key(name: str, tmp_path: Path) -> None:
    file, parts = BAD[name]
    with pytest.raises(UserError) as caught:
        load(tmp_path, file)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"{tmp_path / 'norms.yaml'}: ")
    assert [part for part in parts if part not in said] == []


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "paper"])
def test_missing_file_lists_what_there_is(name: str) -> None:
    with pytest.raises(UserError, match=r"no sweep or file named .*kernel_sizes"):
        load_sweep(name, scale="nano")


def test_misspelt_sweep_is_suggested() -> None:
    with pytest.raises(UserError, match=r"did you mean 'kernel_sizes'\?"):
        load_sweep("kernel_size", scale="nano")


def test_seed_on_the_command_line_points_to_the_option(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^command line: seed: .*--seeds"):
        load(tmp_path, GOOD, "seed=3")


@pytest.mark.parametrize("reference", [11.25, ["table5.1"]])
def test_reference_must_be_a_text(reference: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows.softmax.*published"):
        load(tmp_path, but(rows={"softmax": {"published": reference}}))


@pytest.mark.parametrize(
    "change",
    [{"rows": {"softmax": {"seed": 3}}}, {"base": {"attention": "multi_token", "seed": 3}}],
    ids=["row", "base"],
)
def test_seed_in_the_file_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=": seed: "):
        load(tmp_path, but(**change))


def test_scale_in_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=": scale: "):
        load(tmp_path, but(rows={"softmax": {"scale": "paper-880m"}}))


def test_command_line_that_makes_rows_equal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows.\w+: the same settings as row"):
        load(tmp_path, GOOD, "attention=softmax", "training.weight_decay=0.1")


def test_two_rows_of_one_configuration_are_refused(tmp_path: Path) -> None:
    twins = {"softmax": {"attention": "softmax"}, "depth": {}, "again": {"attention.norm": "depth"}}
    with pytest.raises(UserError, match=r"rows\.again: the same settings as row 'depth'"):
        load(tmp_path, but(rows=twins))


@pytest.mark.parametrize("own", [{"data.corpus": "stdlib"}, {"model.vocabulary": 1024}])
def test_rows_over_other_tokens_are_refused(own: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows\.other: reads other text or tokens than 'softmax'"):
        load(tmp_path, but(rows={"softmax": {"attention": "softmax"}, "other": own}))
