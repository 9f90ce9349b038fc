"""A sweep that is shown has one name: another for each file, scale and settings."""

from itertools import combinations
from pathlib import Path

import pytest

from mta_lab.config import difference
from mta_lab.launch.launch import study_name
from mta_lab.sweep import Sweep, load_sweep
from mta_lab.sweep.files import SHIPPED
from tests.shipped import shipped

FILE = (
    "title: Norms\nrows: {softmax: {attention: softmax}, plain: {attention.norm: plain, attention.name: multi_token}}\n"
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(path: str, file: str = FILE) -> str:
    """Write a sweep file, and return its path."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(file)
    return path


def named(name: str, *settings: str, scale: str = "nano") -> str:
    return load_sweep(name, scale=scale, settings=settings).shown_as


def test_a_shipped_sweep_and_a_file_here_keep_their_plain_names() -> None:
    assert named("kernel_sizes") == "kernel_sizes-nano"
    assert named("kernel-sizes", scale="small") == "kernel_sizes-small"
    assert named(written("norms.yaml")) == "norms-nano"


def test_files_of_one_stem_have_names_of_their_own(here: Path) -> None:
    files = ["norms.yaml", "norms.yml", "sub/norms.yaml", "sub/sub/norms.yaml", "../norms.yaml", "norms"]
    names = {named(written(file)) for file in files}
    assert len(names) == len(files)
    assert all(name.startswith("norms-") and name.endswith("-nano") for name in names)


@pytest.mark.parametrize("stem", ["kernel_sizes", "components", "paper", "all", "train", "index", "masking-lr"])
def test_a_file_is_not_named_as_what_ships_or_has_another_meaning(stem: str) -> None:
    name = named(written(f"{stem}.yaml"))
    assert name != f"{stem}-nano"
    assert name.startswith(f"{stem}-")


def test_one_file_has_one_name_however_its_path_is_written(here: Path) -> None:
    file = written("sub/norms.yaml")
    Path("link.yaml").symlink_to(file)
    assert (
        len({named(path) for path in (file, f"./{file}", str(here / file), "sub/../sub/norms.yaml", "link.yaml")}) == 1
    )
    assert named(str(SHIPPED / "masking.yaml")) == "masking-nano"


def test_results_that_are_moved_with_their_sweep_keep_its_name(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = named(written("a/sub/norms.yaml"))
    monkeypatch.chdir(here / "a")
    first = named("sub/norms.yaml")
    (here / "a").rename(here / "b")
    monkeypatch.chdir(here / "b")
    assert named("sub/norms.yaml") == first != before


def test_settings_stand_in_the_name_in_words_or_as_a_digest() -> None:
    assert named("masking", "training.steps=500", "model.heads=2") == "masking-nano-model.heads=2,training.steps=500"
    assert named("masking", "model.heads=2", "training.steps=500") == "masking-nano-model.heads=2,training.steps=500"
    digest = named("masking", "data.path=/some/where else").removeprefix("masking-nano-")
    assert len(digest) == 6
    assert digest.isalnum()


def test_settings_that_change_nothing_add_nothing() -> None:
    steps = load_sweep("masking", scale="nano").rows[0].config.training.steps
    assert named("masking", f"training.steps={steps}", "data.corpus=packages") == "masking-nano"


def test_every_other_setting_makes_another_name() -> None:
    settings = [
        (),
        ("training.steps=500",),
        ("training.steps=501",),
        ("training.learning_rate=0.001",),
        ("training.learning_rate=0.0011",),
        ("data.path=a",),
        ("data.path=A",),
        ("data.mixture={news: 2}",),
        ("data.mixture={news: 3}",),
        ("model.heads=1", "training.steps=500"),
    ]
    names = [named("masking", *words) for words in settings]
    assert not [pair for pair in combinations(zip(names, settings, strict=True), 2) if pair[0][0] == pair[1][0]]


def test_a_component_in_place_of_another_is_a_change() -> None:
    file = written(
        "mta.yaml", "base: {attention: multi_token}\nrows: {usual: {}, decay: {training.weight_decay: 0.1}}\n"
    )
    changes = [(), ("attention.norm=plain",), ("attention.post_softmax=[]",), ("attention=softmax",)]
    assert len({named(file, *words) for words in changes}) == len(changes)


def test_a_sweep_that_is_whole_only_with_its_settings_is_named_by_them() -> None:
    file = written("odd.yaml", FILE + "base: {model.heads: 5}\n")
    assert named(file, "model.heads=2") == "odd-nano-model.heads=2"


def test_people_read_the_conditions_in_full() -> None:
    sweep: Sweep = load_sweep("masking", scale="small", settings=["data.path=/some/where else", "training.steps=500"])
    assert sweep.conditions == "small, data.path=/some/where else, training.steps=500"


SEARCH = """
search: {trials: 2, space: {rate: {from: 1.0e-4, to: 1.0e-2}}}
rows: {plain: {attention: softmax, training.learning_rate: $rate}}
"""


def test_a_search_is_named_by_what_its_trials_compute_and_keeps_them_when_its_file_moves() -> None:
    first = load_sweep(written("norms.yaml", SEARCH), scale="nano")
    moved = load_sweep(written("sub/norms.yaml", SEARCH), scale="nano")
    assert study_name(first, "plain").startswith("norms-nano-search-plain-")
    others = [
        load_sweep("norms.yaml", scale="nano", settings=["training.steps=500"]),
        load_sweep("norms.yaml", scale="small"),
        load_sweep(written("sub/sub/norms.yaml", SEARCH.replace("1.0e-2", "2.0e-2")), scale="nano"),
        load_sweep(written("other/norms.yaml", SEARCH.replace("softmax", "differential")), scale="nano"),
    ]
    assert study_name(moved, "plain") == study_name(first, "plain")
    assert len({study_name(sweep, "plain") for sweep in (first, *others)}) == 5


@pytest.mark.parametrize("name", ["components", "kernel_sizes", "kq_layers", "scaling"])
@pytest.mark.parametrize(
    "setting", ["training.steps=50", "model.heads=2", "attention.impl=eager", "data.corpus=stdlib"]
)
def test_a_sweep_names_the_settings_that_change_in_any_of_its_rows(name: str, setting: str) -> None:
    usual = {row.name: row.config for row in shipped(name).rows}
    changed = load_sweep(name, scale="nano", settings=[setting])
    differences = [difference(row.config, usual[row.name]) for row in changed.rows]
    assert dict(changed.settings) == {key: value for found in differences for key, value in found.items()}
