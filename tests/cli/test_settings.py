"""`mta-lab settings`: every key that can be set, as the code has it, for people and for pipes."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from rich.console import Console

from components import FAMILIES
from mta_lab.cli import settings
from mta_lab.config import Layer, RunConfig, command_line, resolve, scale_layer, scales
from mta_lab.config.catalogue import REQUIRED, Section, Setting, run_settings
from mta_lab.config.reader import read_value
from mta_lab.lab.catalogue import scale_section
from mta_lab.results.failures import KINDS
from mta_lab.sweep.keys import file_keys
from tests.cli.conftest import Command

OF_RUNS = run_settings()
EVERYTHING = [*OF_RUNS, *file_keys(), scale_section()]
KEYS = [(section, setting) for section in EVERYTHING for setting in section.settings]
NANO = scale_layer("nano")


def label(value: Section | Setting) -> str:
    return value.title if isinstance(value, Section) else value.key


@pytest.mark.parametrize(("section", "setting"), KEYS, ids=label)
def test_each_key_has_a_line_and_words_for_its_type(section: Section, setting: Setting) -> None:
    assert len(setting.line) > 10, f"{section.title}: write a line below the field {setting.key}"
    assert not re.search(r"Config|typing|\bint\b|\bstr\b", setting.kind + setting.allowed + setting.default)
    assert setting.default


def test_nothing_that_a_run_is_made_of_is_left_out() -> None:
    listed = {setting.key for _, setting in KEYS}
    config = resolve([NANO])
    for name, part in vars(config).items():
        if is_dataclass(part) and name in SECTIONS:
            assert {f"{name}.{field.name}" for field in fields(part)} <= listed
    assert {field.name for field in fields(RunConfig)} - {"scale", *SECTIONS} <= listed
    variants = [(family.name, variant) for family in FAMILIES.values() for variant in map(family.get, family.names())]
    for _, variant in variants:
        found = {setting.key.rpartition(".")[2] for section, setting in KEYS if variant.name in section.title}
        assert {field.name for field in fields(variant)} <= found, variant
    assert set(KINDS) <= listed


@pytest.mark.parametrize(
    ("section", "setting"),
    [(section, setting) for section, setting in KEYS if section in OF_RUNS and " in " not in section.title],
    ids=label,
)
def test_a_key_set_to_the_default_that_is_shown_changes_nothing(section: Section, setting: Setting) -> None:
    place, _, variant = section.title.partition(": ")
    fitting = Layer("the test", {"model.vocabulary": VOCABULARIES.get(variant, 300), "model.context": 512})
    named = {"attention.norm": [Layer("the test", {"attention": "multi_token"})], "task": [fitting]}.get(place, [])
    layers = [NANO, *named, *([Layer("the test", {place: variant})] if variant else [])]
    written = re.sub(r".* \(nano: (.*)\)", r"\1", setting.default)
    given = Layer("the test", {setting.key: read_value(written)})
    assert resolve([*layers, given]) == resolve(layers)


SECTIONS = ("model", "data", "training", "fixed_seeds")
BETAS = ["training.beta1", "training.beta2"]
VOCABULARIES = {"find_block": 28, "needles": 53}
"""of the synthetic tasks"""


@pytest.mark.parametrize(("section", "setting"), [(a, b) for a, b in KEYS if b.allowed.startswith("'")], ids=label)
def test_each_word_that_a_setting_may_be_is_listed(section: Section, setting: Setting) -> None:
    assert setting.default in re.findall(r"'(\w+)'", setting.allowed)


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("training.steps", "1 or more, or 0 in a stage"),
        ("training.learning_rate", "more than 0"),
        ("training.beta2", "0 <= beta2 < 1"),
        ("task.letters", "1 to 25"),
        ("std", "a finite number above 0"),
        ("value", "a finite number"),
        ("kernel", "two sizes of at least 1, like [6, 11]"),
        ("data.evaluate", "'valid' or 'test'"),
        ("attention.norm", "depth, gate, layer_norm, layer_norm_block, none, plain"),
    ],
)
def test_what_is_allowed_is_what_the_settings_own_check_says(key: str, allowed: str) -> None:
    assert allowed in [setting.allowed for _, setting in KEYS if setting.key == key]


def piped(lab: Command, *words: str) -> list[list[str]]:
    """The lines that a pipe gets, below the names of the columns."""
    done = lab("settings", *words)
    assert done.status == 0
    head, *lines = [line.split("\t") for line in done.out.splitlines()]
    assert head == ["section", "key", "type", "default", "allowed", "line"]
    assert {len(line) for line in lines} == {6}
    return lines


def test_a_pipe_gets_a_line_for_each_key(lab: Command) -> None:
    assert len(piped(lab)) == len(KEYS)


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("warmup", ["training.warmup_steps"]),
        ("WARM-UP", ["training.warmup_steps", "training.schedule"]),
        ("training.w", ["training.warmup_steps", "training.weight_decay"]),
        ("rope_theta", ["model.positions", *["model.positions.theta"] * 5]),
        ("retry in", list(KINDS)),
        ("scales", ["scales", *scales()]),
        ("beta?", []),
        ("*.beta?", [*BETAS, *(key.replace("training", "training.optimizer") for key in BETAS)]),
    ],
)
def test_a_pattern_chooses_keys_lines_or_sections(pattern: str, keys: list[str], lab: Command) -> None:
    if not keys:
        assert f"no key fits '{pattern}'" in lab("settings", pattern).complaint
    else:
        assert [line[1] for line in piped(lab, pattern)] == keys


def test_a_word_in_a_line_does_not_count_where_a_key_has_it(lab: Command) -> None:
    assert {line[1].partition(".")[0] for line in piped(lab, "training")} == {"training"}


def test_a_pattern_that_fits_nothing_is_answered_with_the_nearest_key(lab: Command) -> None:
    assert "did you mean 'warmup_steps'?" in lab("settings", "warmup_stesp").complaint


OWN = '''
from components.norms import NormConfig
from components.registry import ComponentError, register


@register("norms", "mine")
class Mine(NormConfig):
    """A norm of the tests."""

    power: float = 2.0
    """the power of
    the mean"""
    bare: int = 3
    needed: int
    """something"""

    def build(self, *, width, model_width, layer):
        raise NotImplementedError
'''


def test_a_users_component_is_listed_with_its_lines(lab: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    assert piped(lab, "mine", "--components", "mine.py") == [
        ["attention.norm: mine", "attention.norm.power", "a number", "2.0", "", "the power of the mean"],
        ["attention.norm: mine", "attention.norm.bare", "a whole number", "3", "", ""],
        ["attention.norm: mine", "attention.norm.needed", "a whole number", REQUIRED, "", "something"],
    ]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_terminal_of_any_width_shows_all_of_it(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(width=width, force_terminal=True, no_color=True, highlight=False, markup=False)
    monkeypatch.setattr(settings, "make_console", lambda: console)
    settings.settings()
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    words = " ".join(shown.split())
    for _, setting in KEYS:
        assert f"{setting.key} " in words
        assert setting.line in words
        assert setting.allowed in words


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("model.headz=3", "`mta-lab settings model` explains them"),
        ("trainig.steps=3", "`mta-lab settings` explains them"),
        ("attention.nrm=depth", "`mta-lab settings attention` explains them"),
        ("attention={name: multi_token, pre_softmax: [{name: key_query, kernl: 3}]}", "settings attention"),
    ],
)
def test_a_key_that_there_is_not_points_to_the_list(given: str, hint: str, lab: Command) -> None:
    assert hint in lab("train", given).complaint
    assert command_line([given])
