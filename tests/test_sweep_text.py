"""A sweep file's text: names stay as written, values mean one thing, the order of keys none."""

from pathlib import Path

import pytest

from mta_lab.errors import UserError
from mta_lab.sweep import Sweep, load_sweep

ROWS = "baseline: a\nrows:\n  a: {}\n"


def load(folder: Path, text: str, *settings: str) -> Sweep:
    """The sweep of that text."""
    file = folder / "sweep.yaml"
    file.write_text(text, encoding="utf-8")
    return load_sweep(str(file), scale="nano", settings=settings)


@pytest.mark.parametrize("name", ["off", "yes", "1e-3", "5_000", "1.10", "011", "1:30", "null", "~", "groß", "${x}"])
def test_a_name_is_the_text_that_was_written(name: str, tmp_path: Path) -> None:
    text = f"title: {name}\nbaseline: {name}\nrows:\n  {name}: {{}}\n  other: {{training.learning_rate: 1e-3}}\n"
    if name == "~":
        text = text.replace("title: ~\nbaseline: ~", "title: '~'\nbaseline: '~'")
    sweep = load(tmp_path, text)
    assert (sweep.title, sweep.baseline, sweep.rows[0].name) == (name, name, name)
    assert sweep.rows[1].config.training.learning_rate == 0.001


@pytest.mark.parametrize(
    "letter", [r"\e", r"\n", r"\r", r"\0", r"\x9b", r"\u202e", r"\u2066", r"\u200b", r"\ufeff", r"\ud800"]
)
def test_a_name_that_cannot_be_shown_is_refused(letter: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)rows\..*: a row's name cannot contain '\\.+', which cannot be printed"):
        load(tmp_path, f'{ROWS}  "mta{letter}[2J": {{training.learning_rate: 1e-3}}\n')


@pytest.mark.parametrize("names", [("1.10", "1.1"), ("on", "yes"), ("011", "9"), ("1e-3", "0.001")])
def test_rows_whose_names_once_meant_one_value_both_stand(names: tuple[str, str], tmp_path: Path) -> None:
    first, second = names
    rows = f"  {first}: {{training.learning_rate: 1e-3}}\n  {second}: {{training.learning_rate: 2e-3}}\n"
    assert [row.name for row in load(tmp_path, ROWS + rows).rows] == ["a", first, second]


SAME = "{attention.norm: depth, attention: {name: multi_token, pre_softmax: [key_query]}, training.steps: 900}"


@pytest.mark.parametrize(
    "again",
    [
        "{attention: {name: multi_token, pre_softmax: [key_query]}, attention.norm: depth, training: {steps: 900}}",
        "{training.steps: 900, attention: {norm: {name: depth}, pre_softmax: [{name: key_query}]}, attention.name: "
        "multi_token}",
    ],
)
def test_spelling_and_order_of_keys_have_no_meaning(again: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows\.c: has the same settings as row 'b'"):
        load(tmp_path, f"{ROWS}  b: {SAME}\n  c: {again}\n")


def test_names_that_differ_in_quoting_alone_are_one_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 5: duplicate key 'b', which line 4 has already"):
        load(tmp_path, f'{ROWS}  b: {SAME}\n  "b": {{training.steps: 800}}\n')


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{training.steps: 0900}", "training.steps: got '0900', allowed: a whole number; a number has no leading zero"),
        ("{training.steps: 5_000}", "training.steps: got '5_000', allowed: a whole number"),
        ("{training.steps: 1:30}", "training.steps: got '1:30', allowed: a whole number"),
        ("{training.steps: '900'}", "training.steps: got '900', allowed: a whole number"),
        ("{training.steps: 900, training: {steps: 800}}", "training.steps: is set twice; keep one"),
        ("{attention: softmax, attention.name: softmax}", "attention.name: is set twice; keep one"),
        ("{stream: '${scale}'}", "stream: got '${scale}'"),
        ("{'training.${x}': 1}", "training: got 'training.${x}'"),
        ("{stream: 5}", "stream: got 5, allowed: a text; in quotes, a number is a text"),
        ("{data.path: }", "data.path: got nothing; leave the setting out for the default"),
        ("{data.path: ~}", "data.path: got nothing; leave the setting out for the default"),
        ("{data.path: ''}", "data.path: got ''"),
        ("{against: }", "against: got nothing"),
    ],
)
def test_what_could_mean_another_thing_is_refused_with_its_key(row: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, f"{ROWS}  b: {row}\n")
    assert f"rows.b: {says}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["/x/a #1", "010", "on", "1e-3", "{x}", "a: b", "@x"])
def test_a_text_on_the_command_line_is_taken_as_it_stands(value: str, tmp_path: Path) -> None:
    assert load(tmp_path, ROWS, f"data.path={value}").rows[0].config.data.path == value


@pytest.mark.parametrize("value", ["", "~", " "])
def test_an_empty_value_on_the_command_line_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^command line: data\.path: got nothing; leave the setting out"):
        load(tmp_path, ROWS, f"data.path={value}")


def test_a_product_that_drifts_in_its_last_bit_is_the_plain_value(tmp_path: Path) -> None:
    rows = "  b: {training.learning_rate: 0.3}\n  c: {times: {training.learning_rate: 3}}\n"
    with pytest.raises(UserError, match=r"rows\.c: has the same settings as row 'b'"):
        load(tmp_path, "base: {training.learning_rate: 0.1}\n" + ROWS + rows)


def test_the_command_line_wins_over_times(tmp_path: Path) -> None:
    rows = "  b: {attention.dropout: 0.1, times: {training.learning_rate: 3}}\n"
    sweep = load(tmp_path, ROWS + rows, "training.learning_rate=5e-3")
    assert [row.config.training.learning_rate for row in sweep.rows] == [0.005, 0.005]


@pytest.mark.parametrize(
    ("setting", "whole"), [("times: {training.learning_rate: $n}", False), ("training.warmup_steps: $n", True)]
)
def test_whole_numbers_are_searched_where_the_setting_is_one(setting: str, whole: bool, tmp_path: Path) -> None:
    text = f"search: {{trials: 2, space: {{n: {{from: 1, to: 3}}}}}}\n{ROWS}  b: {{{setting}}}\n"
    search = load(tmp_path, text).search
    assert search
    assert search.space["n"].whole is whole  # type: ignore[union-attr]


def test_anchors_that_multiply_without_bound_are_refused(tmp_path: Path) -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [f"{b}: &{b} [{','.join(['*' + a] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(UserError, match=r"line \d: anchors \(&, \*\) make more than 100,000 values"):
        load(tmp_path, "\n".join(lines) + "\n" + ROWS)
