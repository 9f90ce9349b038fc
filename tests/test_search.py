"""`search:` in a sweep file: what it opens, what its rows become, and mistakes in it."""

from pathlib import Path
from typing import Any

import pytest

from components.attention import MultiToken
from components.score_ops import KeyQuery
from mta_lab.errors import UserError
from mta_lab.sweep import Sweep, load_sweep
from mta_lab.sweep.placeholders import filled
from mta_lab.sweep.search import Choices, Found, Range
from tests.test_sweep import load

SEARCH: dict[str, Any] = {
    "trials": 4,
    "winners": 2,
    "space": {
        "rate": {"from": 1e-3, "to": 1e-2, "log": True},
        "keys": {"from": 1, "to": 9},
        "layers": {"choices": ["every 4", "all"]},
    },
}
KERNEL = {
    "attention": {
        "name": "multi_token",
        "pre_softmax": [{"name": "key_query", "kernel": [2, "$keys"], "layers": "$layers"}],
    },
    "training.learning_rate": "$rate",
}
FILE: dict[str, Any] = {
    "baseline": "softmax",
    "search": SEARCH,
    "rows": {"softmax": {"training.learning_rate": "$rate"}, "kernel": KERNEL, "fixed": {"attention": "talking_heads"}},
}


def first_kernel(sweep: Sweep, row: str) -> KeyQuery:
    attention = next(found for found in sweep.rows if found.name == row).config.attention
    assert isinstance(attention, MultiToken)
    (op,) = attention.pre_softmax
    assert isinstance(op, KeyQuery)
    return op


def test_space_and_templates(tmp_path: Path) -> None:
    search = load(tmp_path, FILE).search
    assert search
    assert (search.trials, search.winners) == (4, 2)
    assert search.space == {
        "rate": Range(1e-3, 1e-2, log=True),
        "keys": Range(1, 9),
        "layers": Choices(("every 4", "all")),
    }
    assert search.space["keys"].whole
    assert not search.space["rate"].whole
    assert {row: template.names() for row, template in search.templates.items()} == {
        "softmax": ["rate"],
        "kernel": ["keys", "layers", "rate"],
    }


def test_a_trial_runs_on_its_own_stream_and_never_reads_the_test_text(tmp_path: Path) -> None:
    sweep = load(tmp_path, FILE)
    assert sweep.search
    config = sweep.search.config("kernel", {"rate": 5e-3, "keys": 7, "layers": "all"})
    assert (config.stream, config.data.evaluate, config.training.learning_rate) == ("search", "valid", 5e-3)
    assert isinstance(config.attention, MultiToken)
    assert config.attention.pre_softmax == (KeyQuery(kernel=(2, 7), layers="all"),)


def test_rows_are_scored_on_the_test_text_at_the_values_that_won(tmp_path: Path) -> None:
    load(tmp_path, FILE)
    sweep = with_winners(
        tmp_path,
        softmax=[{"rate": 4e-3}],
        kernel=[{"rate": 5e-3, "keys": 7, "layers": "all"}, {"rate": 2e-3, "keys": 3, "layers": "every 4"}],
    )
    assert [row.name for row in sweep.rows] == ["softmax", "kernel", "kernel #2", "fixed"]
    assert {(row.config.data.evaluate, row.config.stream) for row in sweep.rows} == {("test", "")}
    assert sweep.rows[0].config.training.learning_rate == 4e-3
    assert first_kernel(sweep, "kernel").kernel == (2, 7)
    assert first_kernel(sweep, "kernel #2").kernel == (2, 3)


def with_winners(folder: Path, **values: list[dict[str, Any]]) -> Sweep:
    """The sweep in `folder` with these values of its rows' best trials."""
    winners = {row: Found(values=best, trials=4) for row, best in values.items()}
    return load_sweep(str(folder / "norms.yaml"), scale="nano", winners=winners)


def test_a_winner_that_is_another_row_is_left_out(tmp_path: Path) -> None:
    """The kernel of 7 keys wins and stands in the file already, as does the lower end."""
    found = {"keys": 7, "layers": "all"}
    rows = {
        "softmax": {"attention": "softmax"},
        "kernel": {"attention": KERNEL["attention"]},
        "seven": {"attention": filled(KERNEL["attention"], found)},
        "one": {"attention": filled(KERNEL["attention"], {"keys": 1, "layers": "every 4"})},
    }
    space = {name: SEARCH["space"][name] for name in ("keys", "layers")}
    sweep = load(tmp_path, {"baseline": "softmax", "search": {"space": space}, "rows": rows})
    assert [row.name for row in sweep.rows] == ["softmax", "seven", "one"]
    sweep = with_winners(tmp_path, kernel=[found, {"keys": 3, "layers": "all"}])
    assert [row.name for row in sweep.rows] == ["softmax", "kernel #2", "seven", "one"]


def test_a_range_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"search.space.rate: changes nothing in row 'softmax': a later setting"):
        load(tmp_path, FILE, "training.learning_rate=0.002")


def test_before_a_search_its_rows_stand_at_the_lower_ends(tmp_path: Path) -> None:
    assert first_kernel(load(tmp_path, FILE), "kernel") == KeyQuery(kernel=(2, 1), layers="every 4")


def test_a_trial_takes_times_as_its_row_does(tmp_path: Path) -> None:
    file = {
        "baseline": "softmax",
        "search": {"trials": 4, "space": {"factor": {"from": 0.5, "to": 2.0}}},
        "rows": {"softmax": {"times": {"training.learning_rate": "$factor", "model.width": 2}}},
    }
    sweep = load(tmp_path, file)
    assert sweep.search
    plain = load_sweep("language_modeling", scale="nano").rows[0].config
    trial = sweep.search.config("softmax", {"factor": 1.5})
    assert trial.model.width == sweep.rows[0].config.model.width == 2 * plain.model.width
    assert trial.training.learning_rate == 1.5 * plain.training.learning_rate
    assert sweep.rows[0].config.training.learning_rate == 0.5 * plain.training.learning_rate


def test_a_search_is_known_by_all_that_its_trials_depend_on_but_their_number(tmp_path: Path) -> None:
    def key(*settings: str, **changes: Any) -> str:
        search = load(tmp_path, but(**changes), *settings).search
        assert search
        return search.key("kernel")

    assert key() == key(trials=40) == key(winners=1)
    wider = {"space": {**SEARCH["space"], "keys": {"from": 1, "to": 11}}}
    assert len({key(), key(**wider), key("training.steps=500"), key("data.corpus=stdlib")}) == 4


def test_what_is_scored_is_not_the_users_to_set(tmp_path: Path) -> None:
    assert {row.config.data.evaluate for row in load(tmp_path, FILE, "data.evaluate=valid").rows} == {"test"}
    with pytest.raises(
        UserError, match=r"data.evaluate: leave it out; a search scores trials on 'valid' and rows on 'test'"
    ):
        load(tmp_path, FILE, "data.evaluate=test")


def but(**changes: Any) -> dict[str, Any]:
    """FILE with another search section."""
    return {**FILE, "search": {**SEARCH, **changes}}


def space(**changes: Any) -> dict[str, Any]:
    return but(space={**SEARCH["space"], **changes})


BAD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a number": ({**FILE, "search": 3}, ("search", "3", "a mapping")),
    "unknown key": (but(trails=3), ("search.trails", "'trials'?")),
    "unknown sampler": (but(sampler="gird"), ("search.sampler", "'gird'", "'grid'?", "tpe, random, grid")),
    "unknown pruner": (but(pruner="asha"), ("search.pruner", "'asha'", "median, hyperband, none")),
    "trials of a grid": (but(sampler="grid"), ("search.trials", "leave it out")),
    "no trials": (but(trials=0), ("search.trials", "0", "1 or more")),
    "no space": (but(space={}), ("search.space", "{}")),
    "range as a number": (space(rate=3), ("space.rate", "3", "from: 1")),
    "range without an end": (space(rate={"from": 1}), ("space.rate", "from: 1")),
    "range upside down": (space(rate={"from": 2, "to": 1}), ("space.rate", "'from': 2")),
    "log of zero": (space(rate={"from": 0, "to": 1, "log": True}), ("space.rate", "'from': 0")),
    "one choice": (space(layers={"choices": ["all"]}), ("space.layers", "choices")),
    "end that cannot be": (space(keys={"from": 0, "to": 9}), ("rows.kernel", "kernel", "at least 1")),
    "unused range": (space(other={"from": 1, "to": 2}), ("space.other", "no row uses $other")),
    "unknown name": (
        {**FILE, "rows": {**FILE["rows"], "softmax": {"training.learning_rate": "$rat"}}},
        ("rows.softmax", "$rat", "did you mean 'rate'?"),
    ),
}


def test_a_grid_takes_no_range_between_two_real_numbers(tmp_path: Path) -> None:
    section = {key: value for key, value in SEARCH.items() if key != "trials"}
    with pytest.raises(UserError, match=r"search.space.rate: a grid needs its values: \{choices: "):
        load(tmp_path, {**FILE, "search": {**section, "sampler": "grid"}})


@pytest.mark.parametrize("name", BAD)
def test_bad_search_is_said_in_one_line(name: str, tmp_path: Path) -> None:
    file, parts = BAD[name]
    with pytest.raises(UserError) as caught:
        load(tmp_path, file)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"{tmp_path / 'norms.yaml'}: ")
    assert [part for part in parts if part not in said] == []
