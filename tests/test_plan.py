"""Random sweeps are planned alike everywhere; what a run sets identifies it, and no more."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mta_lab.config import fingerprint, plain, resolve
from mta_lab.config.resolve import Layer
from mta_lab.errors import UserError
from mta_lab.sweep import load_sweep
from tests.config.helpers import SIZES

Settings = dict[str, Any]
TEXT = "a content hash"

kernels = st.lists(st.integers(1, 9), min_size=2, max_size=2)
operations = st.one_of(
    st.sampled_from(["key_query", "head_mixing"]),
    st.fixed_dictionaries(
        {"name": st.just("key_query")},
        optional={"kernel": kernels, "mask": st.sampled_from(["double", "exact"]), "layers": st.just("all")},
    ),
)


def allowed(operations: list[Any]) -> bool:
    """An exact mask reads what a convolution before it would have overwritten."""
    *before, last = operations or [None]
    return not (isinstance(last, dict) and last.get("mask") == "exact") or before in ([], ["head_mixing"])


places = st.lists(operations, max_size=2).filter(allowed)
attentions = st.one_of(
    st.sampled_from(["softmax", "talking_heads", "differential"]),
    st.fixed_dictionaries({"name": st.just("softmax"), "dropout": st.floats(0, 0.9)}),
    st.fixed_dictionaries(
        {"name": st.just("multi_token")},
        optional={
            "pre_softmax": places,
            "post_softmax": places,
            "norm": st.sampled_from(["none", "plain", "gate", "depth"]),
        },
    ),
)
rows: st.SearchStrategy[Settings] = st.fixed_dictionaries(
    {},
    optional={
        "attention": attentions,
        "model": st.fixed_dictionaries(
            {}, optional={"width": st.sampled_from([16, 32, 64]), "heads": st.sampled_from([2, 4])}
        ).filter(bool),
        "training": st.fixed_dictionaries(
            {},
            optional={"learning_rate": st.floats(1e-5, 1), "steps": st.integers(30, 90), "beta1": st.floats(0, 0.99)},
        ).filter(bool),
    },
)
sweeps = st.dictionaries(st.text("abc./ ", min_size=1, max_size=6), rows, min_size=1, max_size=4)


def shuffled(value: Any, generator: random.Random) -> Any:
    """The same mappings, their keys in another order; lists keep theirs."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, generator)) for key, item in value.items()]
        return dict(generator.sample(items, len(items)))
    return [shuffled(item, generator) for item in value] if isinstance(value, list) else value


def written(file: Path, found: dict[str, Settings]) -> Path:
    """A sweep file with these rows, in their order."""
    file.write_text(json.dumps({"base": dict(SIZES.values), "seeds": 2, "rows": found}))
    return file


def planned(file: Path) -> list[Any] | str:
    """Its runs, in order, or why it is refused: two rows may come to the same."""
    try:
        runs = load_sweep(str(file), scale="nano").runs()
    except UserError as error:
        return str(error)
    return [[run.row, run.seed, fingerprint(run.config, TEXT)] for run in runs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


@given(found=sweeps, order=st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_a_sweep_is_planned_alike_whatever_the_order_of_its_keys(
    found: dict[str, Settings], order: random.Random, folder: Path
) -> None:
    first = planned(written(folder / "sweep.yaml", found))
    again = {row: shuffled(values, order) for row, values in found.items()}
    assert planned(written(folder / "sweep.yaml", again)) == first
    if isinstance(first, list):
        assert len(first) == len({name for _, _, name in first}) == 2 * len(found)


def identity(row: Settings) -> tuple[str, str]:
    """Return what counts of a configuration with these settings, spelt out, and its fingerprint."""
    config = resolve([SIZES, Layer("row", row)])
    counts = {key: value for key, value in plain(config).items() if key not in ("scale", "data")}
    return json.dumps(counts, sort_keys=True), fingerprint(config, TEXT)


@given(one=rows, other=rows)
@example(one={}, other={"attention": "softmax"})
@example(one={"training": {"learning_rate": 0.1}}, other={"training": {"learning_rate": 0.1 + 2**-56}})
@settings(deadline=None, max_examples=100)
def test_fingerprints_are_equal_where_all_that_counts_is(one: Settings, other: Settings) -> None:
    (ours, name), (theirs, other_name) = identity(one), identity(other)
    assert (name == other_name) == (ours == theirs)


# Prints the plan of each file that it is given.
PLANNING = """
import json, sys
from pathlib import Path
from tests.test_plan import planned
print(json.dumps([planned(Path(file)) for file in sys.argv[1:]]))
"""


def test_another_process_plans_alike(folder: Path) -> None:
    """Under another seed of Python's hashes."""
    files: list[Path] = []

    @given(found=sweeps)
    @settings(deadline=None, max_examples=30, database=None)
    def collect(found: dict[str, Settings]) -> None:
        files.append(written(folder / f"{len(files)}.yaml", found))

    collect()
    hashes = "8" if os.environ.get("PYTHONHASHSEED") == "7" else "7"
    environment = {**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PLANNING, *map(str, files)]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(there.stdout.splitlines()[-1]) == [planned(file) for file in files]
