"""A sweep file: its rows, runs and references, and what is said about a bad one."""

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from components import FAMILIES, register
from components.attention import CoreConfig, Differential, MultiToken, Softmax
from components.norms import Depth, NoNorm, Plain
from mta_lab.errors import UserError
from mta_lab.sweep import Sweep, load_sweep, single_run
from tests.config.helpers import config, registry_restored

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
    text = file if isinstance(file, str | bytes) else json.dumps(file)
    path = folder / "norms.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_sweep(str(path), settings=settings, **{"scale": "nano", **options})


@pytest.mark.parametrize("setting", ["training.steps: 40", "training: {steps: 40}", "model.layers: 2"])
def test_a_setting_beside_the_rows_is_told_where_it_belongs(tmp_path: Path, setting: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"{setting}\nrows: {{a: {{}}}}\n")
    with pytest.raises(UserError, match="is a setting of a run: write it below base: for every row"):
        load_sweep(str(tmp_path / "mine.yaml"), scale="nano")


def test_rows_are_resolved_over_base_and_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
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


def test_values_of_several_references_are_merged(tmp_path: Path) -> None:
    several = ["table8.transformer", "table9.transformer", "table5.1"]
    (row,) = load(tmp_path, {"rows": {"a": {"published": several}}}).rows
    assert row.references == tuple(several)
    assert (row.published["parameters"], row.published["memory_gb"], row.published["perplexity"]) == (
        876553728,
        17.5,
        10.90,
    )


def test_a_sweep_file_may_give_a_published_value_with_its_source(tmp_path: Path) -> None:
    own = {"value": 10.9, "source": "arXiv:2410.05258", "std": 0.1, "runs": 3}
    rows = {"a": {"published": "table2.transformer"}, "b": {"attention": "talking_heads", "published": own}}
    _, row = load(tmp_path, {"rows": rows}).rows
    assert row.published == {"perplexity": 10.9, "std": 0.1, "runs": 3}
    assert row.references == ("arXiv:2410.05258",)


def test_a_published_error_rate_is_a_share(tmp_path: Path) -> None:
    toy = {"task": {"name": "find_block", "blocks": 6}, "model.vocabulary": 28}
    (row,) = load(tmp_path, {"rows": {"a": {**toy, "published": {"value": 0.25, "source": "a thesis"}}}}).rows
    assert row.published == {"error_rate": 0.25}
    with pytest.raises(UserError, match=r"published\.value: got 25, allowed: a number, 0 to 1"):
        load(tmp_path, {"rows": {"a": {**toy, "published": {"value": 25, "source": "a thesis"}}}})


def test_rows_of_two_baselines(tmp_path: Path) -> None:
    rows = {
        "small": {"model.layers": 3},
        "small depth": {"model.layers": 3, "attention": "multi_token", "against": "small"},
        "large": {},
        "large depth": {"attention": "multi_token"},
    }
    sweep = load(tmp_path, {"baseline": "large", "rows": rows})
    assert [row.baseline for row in sweep.rows] == ["large", "small", "large", "large"]
    assert sweep.rows[0].difference == {"model.layers": 3}
    assert "model.layers" not in sweep.rows[1].difference


def test_a_row_that_others_name_keeps_the_sweeps_baseline_unless_it_says_otherwise(tmp_path: Path) -> None:
    """`b` and `d` serve as baselines.

    Only what cannot be compared (another task) or says so itself stands alone.
    """
    toy = {"task": {"name": "find_block", "blocks": 6}, "model.vocabulary": 28}
    other = {**toy, "task": {"name": "find_block", "blocks": 5}}
    rows = {
        "a": toy,
        "b": {**toy, "attention": "talking_heads"},
        "c": {**toy, "attention": "differential", "against": "b"},
        "d": {**toy, "model.layers": 3, "against": "d"},
        "e": {**toy, "model.layers": 3, "attention": "talking_heads", "against": "d"},
        "f": other,
        "g": {**other, "attention": "talking_heads", "against": "f"},
        "h": {**toy, "attention": "multi_token", "against": "c"},
    }
    sweep = load(tmp_path, {"baseline": "a", "rows": rows})
    assert {row.name: row.baseline for row in sweep.rows} == {
        "a": "a", "b": "a", "c": "b", "d": "d", "e": "d", "f": "f", "g": "f", "h": "c",
    }  # fmt: skip


def test_settings_of_a_scale_rank_above_every_row(tmp_path: Path) -> None:
    file = but(scales={"nano": {"training.weight_decay": 0.4, "model.layers": 5}, "small": {"model.layers": 3}})
    nano, small = load(tmp_path, file), load(tmp_path, file, scale="small")
    assert [row.config.training.weight_decay for row in nano.rows] == [0.4] * 3
    assert {row.config.model.layers for row in nano.rows} == {5}
    assert {row.config.model.layers for row in small.rows} == {3}
    assert [row.config.training.weight_decay for row in small.rows] == [0.1, 0.1, 0.2]


def test_times_multiplies_what_stands_below_the_row(tmp_path: Path) -> None:
    plain, wide = load(tmp_path, {"rows": {"plain": {}, "wide": {"times": {"model.width": 1.5}}}}).rows
    assert wide.config.model.width == 1.5 * plain.config.model.width
    assert wide.difference == {"model.width": wide.config.model.width}
    slow = {"plain": {}, "slow": {"times": {"training.learning_rate": 0.5}}}
    _, slow_row = load(tmp_path, {"rows": slow}).rows
    assert slow_row.config.training.learning_rate == 0.5 * plain.config.training.learning_rate


def test_a_row_on_another_stream_is_the_same_run_with_other_numbers(tmp_path: Path) -> None:
    one, other = load(tmp_path, {"rows": {"one": {}, "A/A": {"stream": "A/A"}}}).rows
    assert other.difference == {"stream": "A/A"}
    assert other.config.attention == one.config.attention


def test_rows_generated_from_the_registry(tmp_path: Path) -> None:
    base = {"attention": {"name": "multi_token", "post_softmax": ["head_mixing"]}}
    rows = {row.name: row for row in load(tmp_path, {"base": base, "rows": "leave_one_out"}).rows}
    ops, norms = FAMILIES["score_ops"].names(), FAMILIES["norms"].names()
    assert {f"transformer + {op} {where}" for op in ops for where in ("before", "after")} < set(rows)
    assert {f"transformer + {norm} norm" for norm in norms if norm != "none"} < set(rows)
    lost = {name.removeprefix("full - ") for name in rows if name.startswith("full - ")}
    assert lost == {"key_query before", "head_mixing before", "head_mixing after", "gate norm"}
    attention = rows["full - key_query before"].config.attention
    assert isinstance(attention, MultiToken)
    assert [op.name for op in attention.pre_softmax] == ["head_mixing"]
    assert [op.name for op in attention.post_softmax] == ["head_mixing"]


def test_rows_of_a_hybrid_lack_a_part_on_its_layers_or_a_variant(tmp_path: Path) -> None:
    base = {"attention": [{"layers": "every 4", "name": "multi_token"}, {"layers": "rest", "name": "differential"}]}
    rows = {row.name: row for row in load(tmp_path, {"base": base, "rows": "leave_one_out"}).rows}
    parts = {"key_query before", "head_mixing before", "key_query after", "head_mixing after", "gate norm"}
    lacking = {*(f"{part} on every 4" for part in parts), "multi_token on every 4", "differential on rest"}
    assert {*rows} == {"transformer", "full", *(f"full - {part}" for part in lacking)}
    third, fourth = (rows["full - gate norm on every 4"].config.attention.of_layer(layer, 4) for layer in (3, 4))
    assert (third, fourth) == (MultiToken(norm=NoNorm()), Differential())


def test_settings_that_a_list_of_attentions_drops_are_refused(tmp_path: Path) -> None:
    hybrid = [{"layers": "every 4", "name": "multi_token"}, {"layers": "rest", "name": "softmax"}]
    rows = {"whole": {}, "hybrid": {"attention": hybrid}}
    file = {"base": {"attention": {"name": "multi_token", "dropout": 0.1}}, "rows": rows}
    with pytest.raises(UserError, match=r"rows.hybrid: attention.dropout: is 0.0 here and 0.1 in 'whole'"):
        load(tmp_path, file)
    _, row = load(tmp_path, {**file, "rows": {**rows, "hybrid": {"attention": hybrid, "attention.dropout": 0.1}}}).rows
    assert row.difference["attention.layers"] == ["every 4", "rest"]


def test_generated_rows_exchange_other_components_for_the_defaults(tmp_path: Path) -> None:
    base = {"attention": "multi_token", "model.positions": "alibi", "training.optimizer": "lion"}
    rows = {row.name: row for row in load(tmp_path, {"base": base, "rows": "leave_one_out"}).rows}
    turned, full = rows["full - alibi positions"], rows["full"].config
    assert (turned.config.model.positions.name, turned.baseline) == ("rotary", "full")
    assert turned.config.training == full.training
    adam = rows["full - lion optimizer"].config
    assert (adam.training.optimizer.name, adam.model) == ("adamw", full.model)
    assert rows["transformer"].config.training == full.training
    assert not any(row.published for row in rows.values())  # the paper has no Transformer with ALiBi


def test_rows_of_a_plain_transformer_are_generated_where_it_chooses_other_components(tmp_path: Path) -> None:
    base = {"attention": "softmax", "training.schedule": "cosine", "model.rope_theta": 500.0}
    rows = load(tmp_path, {"base": base, "rows": "leave_one_out"}).rows
    assert [row.name for row in rows] == ["full", "full - cosine schedule"]  # another theta is a setting alone


def test_rows_are_generated_for_any_variant_that_names_its_parts(tmp_path: Path) -> None:
    with registry_restored():

        @register("attention", "windowed")
        class Windowed(CoreConfig):
            """A variant with one part, which the engine has never seen."""

            window: int = 8

            def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
                return Softmax().build(width=width, heads=heads, layer=layer, layers=layers)

            def removals(self) -> dict[str, dict[str, int]]:
                return {"window": {"window": 0}}

            def additions(self) -> dict[str, dict[str, int]]:
                return {"window": {"window": 4}}

        sweep = load(tmp_path, {"base": {"attention": "windowed"}, "rows": "leave_one_out"})
        rows = {row.name: row for row in sweep.rows}
        assert list(rows) == ["transformer", "full", "full - window", "transformer + window"]
        assert rows["full - window"].config.attention == Windowed(window=0)
        assert rows["transformer + window"].config.attention == Windowed(window=4)
        assert not rows["full"].published


def test_a_setting_that_both_have_and_neither_sets_is_refused(tmp_path: Path) -> None:
    """The base sets it for its own component; a row that names another one would lose it unsaid."""
    base = {"attention": {"name": "multi_token", "dropout": 0.1}}
    with pytest.raises(
        UserError, match=r"rows\.\w+: attention\.dropout: .*0\.1.*0\.0|attention\.dropout: .*0\.0.*0\.1"
    ):
        load(tmp_path, {"base": base, "rows": {"a": {"attention": "softmax"}, "b": {}}})
    said = {"a": {"attention": {"name": "softmax", "dropout": 0.1}}, "b": {}}
    assert load(tmp_path, {"base": base, "rows": said}).rows[0].config.attention.dropout == 0.1


def test_a_seed_is_finished_over_all_rows_before_the_next_begins(tmp_path: Path) -> None:
    runs = load(tmp_path, GOOD).runs()
    order = [(seed, row) for seed in (0, 1) for row in ("depth", "softmax", "plain")]
    assert [(run.seed, run.row) for run in runs] == order
    assert all(run.config.seed == run.seed for run in runs)
    assert runs[4].label == "softmax seed 1"
    assert runs[1].config.model == runs[4].config.model


def test_number_of_seeds(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).seeds == (0, 1)
    assert load(tmp_path, GOOD, seeds=4).seeds == (0, 1, 2, 3)
    assert load(tmp_path, {"rows": {"a": {}}}).seeds == (0, 1, 2)


def test_parts_of_the_seed_can_be_fixed_for_a_row(tmp_path: Path) -> None:
    rows = {"base": {}, "one start": {"seed": {"init": 0}}}
    sweep = load(tmp_path, {"rows": rows, "seeds": [3, 7]})
    first, second = (run.config for run in sweep.runs() if run.row == "one start")
    assert (first.seed, second.seed) == (3, 7)
    assert (first.seed_of("init"), second.seed_of("init")) == (0, 0)
    assert (first.seed_of("data"), second.seed_of("data")) == (3, 7)
    assert sweep.row("one start").difference == {"fixed_seeds.init": 0}
    rows["one start"] = {"seed": {"init": 0, "data": 3}}
    assert load(tmp_path, {"rows": rows, "seeds": 1}).row("one start").config.seed_of("data") == 3
    with pytest.raises(UserError, match=r"rows.one start: seed: init and data are fixed, .*: 3 seeds would be one run"):
        load(tmp_path, {"rows": rows})
    with pytest.raises(UserError, match=r"fixed_seeds.init: got -1, allowed: 0 or more"):
        load(tmp_path, {"rows": {"base": {"seed.init": -1}}})


def test_seeds_can_be_named(tmp_path: Path) -> None:
    named = GOOD | {"seeds": [3, 7, 11]}
    assert load(tmp_path, named).seeds == (3, 7, 11)
    assert [run.seed for run in load(tmp_path, named).runs()][:: len(load(tmp_path, named).rows)] == [3, 7, 11]
    assert load(tmp_path, named, seeds=2).seeds == (3, 7)
    assert load(tmp_path, named | {"looks": [2, 3]}).look_seeds == ((3, 7), (3, 7, 11))
    with pytest.raises(UserError, match=r"--seeds: got 4, but .*: seeds names 3, \[3, 7, 11\]; name more there"):
        load(tmp_path, named, seeds=4)


def test_more_seeds_keep_the_runs_of_fewer(tmp_path: Path) -> None:
    few, many = load(tmp_path, GOOD, seeds=1).runs(), load(tmp_path, GOOD, seeds=3).runs()
    assert many[: len(few)] == few


def test_defaults_of_a_short_file(tmp_path: Path) -> None:
    sweep = load(tmp_path, {"rows": {"first": None, 2: {"attention": "differential"}}})
    assert (sweep.title, sweep.about, sweep.baseline) == ("norms", "", "first")
    assert [row.name for row in sweep.rows] == ["first", "2"]


def test_one_run_is_a_sweep_of_one_run() -> None:
    given = config("attention=differential", "seed=5")
    (run,) = single_run(given).runs()
    assert (run.config, run.seed, run.row) == (given, 5, "differential")


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
    "one quantity twice": (
        but(rows={"softmax": {"published": ["table5.1", "table5.2"]}}),
        ("rows.softmax", "published", "table5.1 and by table5.2", "perplexity"),
    ),
    "value without a source": (
        but(rows={"softmax": {"published": {"value": 10.9}}}),
        ("rows.softmax", "published.source", "arXiv"),
    ),
    "bare value": (but(rows={"softmax": {"published": 10.9}}), ("rows.softmax", "published", "10.9", "source:")),
    "value that is no perplexity": (
        but(rows={"softmax": {"published": {"value": 0.5, "source": "a"}}}),
        ("published.value", "0.5", "1 or more"),
    ),
    "value of another key": (
        but(rows={"softmax": {"published": {"valeu": 11, "source": "a"}}}),
        ("published.valeu", "did you mean 'value'?"),
    ),
    "half a run": (
        but(rows={"softmax": {"published": {"value": 11, "source": "a", "runs": 0.5}}}),
        ("published.runs", "0.5", "1 or more"),
    ),
    "unknown scale": (but(scales={"nanno": {}}), ("scales.nanno", "did you mean 'nano'?")),
    "scale as a number": (but(scales={"nano": 3}), ("scales.nano", "3", "a mapping")),
    "unknown generator": (but(rows="leave_one"), ("rows", "'leave_one'", "did you mean 'leave_one_out'?")),
    "generator without MTA": (
        {"base": {"attention": "softmax"}, "rows": "leave_one_out"},
        ("attention", "'softmax'", "multi_token"),
    ),
    "times of a text": (but(rows={"softmax": {"times": {"attention.name": 2}}}), ("times.attention.name", "number")),
    "negative times": (but(rows={"softmax": {"times": {"model.width": -1}}}), ("times.model.width", "-1", "above 0")),
    "times that do not divide": (but(rows={"softmax": {"times": {"model.layers": 0.3}}}), ("times", "model.layers")),
    "against no row": (but(rows={"softmax": {"against": "sofmax"}}), ("rows.softmax", "against", "'softmax'?")),
    "against each other": (
        but(rows={"softmax": {}, "a": {"against": "b"}, "b": {"against": "a"}}),
        ("rows.a", "against", "'a' against 'b' against 'a'"),
    ),
    "no seeds": (but(seeds=0), ("seeds", "0", "1 to 100,000")),
    "a seed twice": (but(seeds=[3, 7, 3]), ("seeds", "[3, 7, 3]", "each once, like [3, 7, 11]")),
    "a seed below 0": (but(seeds=[3, -1]), ("seeds", "[3, -1]", "whole numbers")),
    "seeds as a text": (but(seeds="many"), ("seeds", "'many'", "1 to 100,000")),
    "seeds as a truth value": (but(seeds=True), ("seeds", "True", "1 to 100,000")),
    "seeds without end": (but(seeds=10**12), ("seeds", "1000000000000", "1 to 100,000")),
    "not YAML": ("rows: {a: [\n", ("not a YAML file",)),
    "duplicate row": ("rows: {a: {}, a: {}}\n", ("not a YAML file", "line 1: duplicate key 'a'")),
    "interpolation": ("rows: {a: {model.heads: '${x}'}}\n", ("rows.a", "model.heads", "'${x}'")),
    "list": ("- a\n", ("keys with values",)),
    "text": ("hello\n", ("hello", "keys with values")),
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


@pytest.mark.parametrize("reference", [11.25, [11.25]])
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
    with pytest.raises(UserError, match=r"rows.\w+: has the same settings as row"):
        load(tmp_path, GOOD, "attention=softmax", "training.weight_decay=0.1")


def test_two_rows_of_one_configuration_are_refused(tmp_path: Path) -> None:
    twins = {"softmax": {"attention": "softmax"}, "depth": {}, "again": {"attention.norm": "depth"}}
    with pytest.raises(UserError, match=r"rows\.again: has the same settings as row 'depth'"):
        load(tmp_path, but(rows=twins))


def test_rows_may_train_on_other_shares_of_the_same_text(tmp_path: Path) -> None:
    rows = {
        "softmax": {"attention": "softmax"},
        "books": {"attention": "softmax", "data.mixture": {"book": 1, "c4": 1}},
    }
    assert load(tmp_path, but(rows=rows)).rows[1].config.data.mixture == {"book": 1.0, "c4": 1.0}


@pytest.mark.parametrize("own", [{"data.corpus": "stdlib"}, {"model.vocabulary": 1024}])
def test_rows_over_other_tokens_are_refused(own: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows\.other: reads other text or tokens than 'softmax'"):
        load(tmp_path, but(rows={"softmax": {"attention": "softmax"}, "other": own}))
