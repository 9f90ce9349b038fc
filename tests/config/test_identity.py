"""The identity of a run: every setting and the code of its components, and nothing else."""

import copy
import dataclasses
import functools
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components import FAMILIES, register
from components.attention import MultiToken
from components.tasks import FindBlock, Language
from mta_lab.config import Layer, RunConfig, difference, fingerprint, fingerprints, plain, resolve
from mta_lab.config.identity import modules_of
from mta_lab.errors import UserError
from mta_lab.plugins import load_components
from tests.config.helpers import config, registry_restored

TEXT = "a content hash"
BASE = config("attention=multi_token", "attention.dropout=0.1", "training.warmup_steps=20")
UNCOUNTED = ("scale", "data.corpus", "data.path", "data.tokens")
LIKELY = (
    *("bf16", "eager", "exact", "left", "channel", "constant", "test", "every 2", "all"),
    *([2, 3], 2, 3, 8, 0.25, 100.0, 10, 300, False),
)


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every setting; a list of plain values is one setting."""
    if isinstance(tree, dict) or (isinstance(tree, list) and any(isinstance(item, dict) for item in tree)):
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            yield from leaves(tree[key], (*path, key))
    else:
        yield path


def variations(path: tuple[Any, ...]) -> Iterator[RunConfig]:
    """Valid configurations that differ from BASE at `path` alone."""
    names = [name for family in FAMILIES.values() for name in family.names()]
    here = functools.reduce(operator.getitem, path, plain(BASE))
    likely = sorted(LIKELY, key=lambda value: type(value) is not type(here))
    for value in names if path[-1] == "name" else likely:
        tree = copy.deepcopy(plain(BASE))
        try:
            found = resolve([Layer("variation", replaced(tree, path, value))])
        except UserError:
            continue
        if found != BASE:
            yield found


def replaced(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Set `value` at `path`; another component comes without the settings of the one before."""
    if path[-1] == "name":
        path, value = path[:-1], {"name": value}
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return tree


@pytest.fixture(scope="module", autouse=True)
def another_language() -> Iterator[None]:
    """A task that differs from `language` in its name alone: no other fits the same model."""
    with registry_restored():

        @register("tasks", "another_language")
        class AnotherLanguage(Language):
            """Language modelling under another name."""

        yield


@pytest.fixture(scope="module")
def base_fingerprint() -> str:
    return fingerprint(BASE, TEXT)


SETTINGS = [path for path in leaves(plain(BASE)) if ".".join(map(str, path[:2])) not in UNCOUNTED]


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: ".".join(map(str, path)))
def test_every_single_setting_changes_the_fingerprint(path: tuple[Any, ...], base_fingerprint: str) -> None:
    family = {"init": "kernel_init"}.get(str(path[-2])) if path[-1] == "name" else None
    if family and len(FAMILIES[family].names()) == 1:
        pytest.skip(f"there is one of {family}")
    other = next(variations(path), None)
    assert other, f"no other value of {path} is valid: add one to LIKELY"
    assert fingerprint(other, TEXT) != base_fingerprint


TOY = ("task=find_block", "model.vocabulary=28", "attention=multi_token", "model.context=512")


@pytest.mark.parametrize("setting", ["letters=4", "blocks=4", "question=3", "answer=last", "held_out=99"])
def test_every_setting_of_a_task_changes_the_fingerprint(setting: str) -> None:
    assert {field.name for field in dataclasses.fields(FindBlock)} == {"letters", "blocks", "question", "answer"} | {
        "held_out"
    }
    assert fingerprint(config(*TOY, f"task.{setting}"), "") != fingerprint(config(*TOY), "")


def test_code_of_a_task_counts_where_it_is_learned() -> None:
    assert {"components.tasks.find_block", "components.tasks.base"} <= modules_of(config(*TOY))
    assert "components.tasks.find_block" not in modules_of(BASE)


def test_equal_configurations_have_one_fingerprint() -> None:
    again = resolve([Layer("canonical", plain(BASE))])
    assert again is not BASE
    assert fingerprint(again, TEXT) == fingerprint(BASE, TEXT)
    assert len(fingerprint(BASE, TEXT)) == 16
    assert int(fingerprint(BASE, TEXT), 16) >= 0


def test_the_seeds_of_a_row_have_the_fingerprints_of_their_runs() -> None:
    row = config("attention=multi_token")
    runs = [dataclasses.replace(row, seed=seed) for seed in (0, 3, 7)]
    assert fingerprints(row, "text", [0, 3, 7]) == {run.seed: fingerprint(run, "text") for run in runs}


def test_a_whole_number_for_a_number_is_the_same_setting() -> None:
    """Written as a default in a component's class or in Python; a file's has a fraction already."""
    whole = dataclasses.replace(BASE, attention=MultiToken(dropout=0))
    with_fraction = dataclasses.replace(BASE, attention=MultiToken(dropout=0.0))
    assert fingerprint(whole, TEXT) == fingerprint(with_fraction, TEXT)
    assert repr(plain(whole)) == repr(plain(with_fraction))


def test_text_counts_by_its_content_alone() -> None:
    assert fingerprint(BASE, "another text") != fingerprint(BASE, TEXT)
    elsewhere = dataclasses.replace(BASE, data=dataclasses.replace(BASE.data, path="somewhere"))
    assert fingerprint(elsewhere, TEXT) == fingerprint(BASE, TEXT)


def test_shares_of_the_domains_count() -> None:
    found = {
        fingerprint(config(*given), TEXT) for given in ([], ["data.mixture={a: 1}"], ["data.mixture={a: 1, b: 0}"])
    }
    assert len(found) == 3


def test_name_of_the_scale_does_not_count() -> None:
    assert fingerprint(dataclasses.replace(BASE, scale="another"), TEXT) == fingerprint(BASE, TEXT)


def test_settings_spelt_out_are_the_defaults() -> None:
    short, long = config("attention=talking_heads"), config("attention={name: talking_heads, dropout: 0.0}", "seed=0")
    assert fingerprint(short, TEXT) == fingerprint(long, TEXT)


def test_difference_is_what_a_row_sets_and_its_base_does_not() -> None:
    base = config("attention=multi_token")
    other = config("attention=multi_token", "attention.norm=plain", "model.heads=2", "seed=5")
    assert difference(other, base) == {"model.heads": 2, "attention.norm.name": "plain"}
    assert difference(base, base) == {}


def test_difference_against_another_variant_names_every_setting_it_lacks() -> None:
    found = difference(config("attention=multi_token"), config())
    assert found["attention.name"] == "multi_token"
    assert found["attention.post_softmax.1.name"] == "head_mixing"
    assert not any(key.startswith(("model.", "training.", "data.", "scale")) for key in found)


VARIANT = '''
"""{comment}"""
from torch import nn
from components.attention import Attention, AttentionConfig
from components.registry import register


@register("attention", "mine")
class Mine(AttentionConfig):
    """{comment}"""

    def build(self, *, width: int, heads: int, layer: int, layers: int) -> nn.Module:
        return MineAttention(width=width, heads=heads, dropout=self.dropout)  # {comment}


class MineAttention(Attention):
    def attend(self, query_BMTd, key_BMTd, value_BMTd):
        return scaled(value_BMTd)


def scaled(y_BMTd):
    return {factor} * y_BMTd
'''


def fingerprint_of_file(file: Path, **parts: Any) -> str:
    """The fingerprint of a run with the component that `file` holds, once it is written."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(VARIANT.format(**parts))
    with registry_restored():
        load_components([file])
        return fingerprint(config("attention=mine"), TEXT)


def test_code_of_a_users_component_counts_comments_do_not(tmp_path: Path) -> None:
    first = fingerprint_of_file(tmp_path / "a" / "mine.py", comment="First.", factor=1.0)
    commented = fingerprint_of_file(tmp_path / "b" / "mine.py", comment="Second, and longer.\n\n", factor=1.0)
    changed = fingerprint_of_file(tmp_path / "c" / "mine.py", comment="First.", factor=2.0)
    assert first == commented
    assert first != changed


def test_a_users_component_moves_no_other_fingerprint(tmp_path: Path) -> None:
    before = fingerprint(BASE, TEXT)
    (tmp_path / "mine.py").write_text(VARIANT.format(comment="First.", factor=1.0))
    with registry_restored():
        load_components([tmp_path / "mine.py"])
        assert fingerprint(BASE, TEXT) == before


def test_files_of_one_name_in_two_directories_are_told_apart(tmp_path: Path) -> None:
    """The second file must not lend its code to the first one's variant."""
    alone = fingerprint_of_file(tmp_path / "a" / "mine.py", comment="First.", factor=1.0)
    other = tmp_path / "b" / "mine.py"
    other.parent.mkdir()
    other.write_text(VARIANT.format(comment="First.", factor=3.0).replace('"mine")', '"theirs")'))
    with registry_restored():
        load_components([tmp_path / "a" / "mine.py", other])
        assert fingerprint(config("attention=mine"), TEXT) == alone


def test_code_that_counts_is_that_of_the_components_touched() -> None:
    differential = modules_of(config("attention=differential"))
    assert {"components.attention.differential", "components.attention.base"} <= differential
    assert "components.norms.base" in differential  # lambda_init, a function it imports
    assert "components.initialise" in differential
    assert not {"components.registry", "components.norms.gate", "components.score_ops.key_query"} & differential
    multi_token = modules_of(config("attention=multi_token"))
    assert {"components.score_ops.key_query", "components.attention.core"} <= multi_token
    cores = {f"components.kernels.{name}" for name in ("choice", "eager", "streaming", "cpu.fused")}
    assert cores <= multi_token & differential & modules_of(config("attention=softmax"))


def test_importing_all_components_touches_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import components\n" + VARIANT.format(comment="First.", factor=1.0))
    with registry_restored():
        load_components([tmp_path / "mine.py"])
        touched = modules_of(config("attention=mine"))
    assert "components.attention.base" in touched
    assert not {"components.attention.differential", "components.norms.gate"} & touched
