"""A user's mistake: one line on stderr, exit status 2, no traceback, and nothing written."""

from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.test_admission import BAD, write

MISTAKES = {
    "key in sweep": ("sweep kernel_sizes model.headz=3", "did you mean 'model.heads'?"),
    "key in report": ("report kernel_sizes model.headz=3", "did you mean 'model.heads'?"),
    "key in train": ("train model.headz=3", "did you mean 'model.heads'?"),
    "key in params": ("params --model mta model.headz=3", "did you mean 'model.heads'?"),
    "key in data prepare": ("data prepare model.headz=3", "did you mean 'model.heads'?"),
    "key in data show": ("data show model.headz=3", "did you mean 'model.heads'?"),
    "key in bench": ("bench model.headz=3", "did you mean 'model.heads'?"),
    "value": ("sweep kernel_sizes training.steps=many", "training.steps: got 'many', allowed: a whole number"),
    "heads": ("train model.heads=7", "model.heads: got 7"),
    "seed of a sweep": ("sweep kernel_sizes seed=1", "--seeds"),
    "sweep": ("sweep kernel_size", "did you mean 'kernel_sizes'?"),
    "sweep file": ("sweep nowhere.yaml", "no sweep or file named 'nowhere.yaml'"),
    "report's sweep": ("report kernel_size", "did you mean 'kernel_sizes'?"),
    "scale": ("sweep kernel_sizes --scale smal", "did you mean 'small'?"),
    "scale that is near none": ("sweep kernel_sizes --scale zzz", "no scale named 'zzz'; known: nano"),
    "format": ("report kernel_sizes --format jsn", "did you mean 'json'?"),
    "model": ("params --model differentail", "did you mean 'differential'?"),
    "component file": ("train --components nowhere.py", "nowhere.py"),
    "family": ("new attentoin mine", "did you mean 'attention'?"),
    "name with a dash": ("new attention my-own", "a lower-case Python name"),
    "name in capitals": ("new attention Mine", "a lower-case Python name"),
    "taken name": ("new attention softmax", "exists already"),
    "report of nothing": ("report kernel_sizes", "mta-lab sweep kernel_sizes"),
    "own text not there": ("data show data.path=.", "holds no DOMAIN.jsonl"),
    "budget without a unit": ("sweep kernel_sizes --budget 45", "allowed: a time like 45m"),
    "budget and seeds": ("sweep kernel_sizes --budget 45m --seeds 2", "give one of them"),
    "timeout without a unit": ("sweep kernel_sizes --trial-timeout 30", "--trial-timeout: got '30', allowed: a time"),
    "row of retry": ("retry kernel_sizes 4x8", "no row named '4x8'; did you mean '4x9'?"),
    "key in retry": ("retry kernel_sizes model.headz=3", "did you mean 'model.heads'?"),
    "learning rates of nothing": ("sweep kernel_sizes --check-lr", "mta-lab sweep kernel_sizes"),
    "no tracker": ("dashboard", "run a sweep first"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_answered_in_one_line(name: str, lab: Command, tmp_path: Path) -> None:
    arguments, says = MISTAKES[name]
    assert says in lab(*arguments.split()).complaint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    ["sweep", "sweep kernel_sizes --workers 0", "report kernel_sizes --seeds 0", "swep x", "train --scal x"],
)
def test_wrong_grammar_ends_with_status_2_and_no_traceback(arguments: str, lab: Command) -> None:
    done = lab(*arguments.split())
    assert done.status == 2
    assert "Error" in done.err
    assert "Traceback" not in done.err


def test_broken_component_file_is_named_with_its_line(lab: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1\nraise RuntimeError('not ready')\n")
    complaint = lab("params", "--model", "mta", "--components", "mine.py").complaint
    assert f"{tmp_path / 'mine.py'}:2: RuntimeError: not ready" in complaint


def test_own_text_that_is_not_there(lab: Command, tmp_path: Path) -> None:
    assert "nowhere" in lab("data", "prepare", "data.path=nowhere").complaint


def test_model_alias_is_suggested(lab: Command) -> None:
    assert "'transformer'" in lab("params", "--model", "transfomer").complaint


@pytest.mark.parametrize("command", ["sweep peeking.yaml", "train attention=mine data.corpus=stdlib"])
def test_nothing_is_started_with_a_component_that_looks_ahead(command: str, lab: Command, tmp_path: Path) -> None:
    body, says = BAD["looks at the next token"]
    write(tmp_path, body)
    sweep = "base: {data.corpus: stdlib}\nbaseline: plain\nrows: {plain: {}, mine: {attention: mine}}\n"
    (tmp_path / "peeking.yaml").write_text(sweep)
    assert lab(*command.split(), "--components", "mine.py").complaint == says
    assert {path.name for path in tmp_path.iterdir()} == {"mine.py", "peeking.yaml"}
