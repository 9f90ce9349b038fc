"""A user's components reach every command and every worker, in whichever way they are named."""

from pathlib import Path

import pytest

from mta_lab.data import Corpus
from mta_lab.plugins import VARIABLE
from mta_lab.results.records import Records
from tests.cli.conftest import Command
from tests.test_plugins import write

SWEEP = """
components: [parts/in_file.py]
base:
  attention: {name: multi_token, pre_softmax: [], post_softmax: []}
  task: {name: find_block, letters: 2, blocks: 3, held_out: 8}
  model: {width: 16, heads: 2, layers: 1, context: 16, vocabulary: 28, feed_forward_multiple: 16}
  training: {steps: 2, batch_size: 2, warmup_steps: 1, validations: 1}
seeds: 1
rows:
  in file: {attention.norm: in_file}
  in variable: {attention.norm: in_variable}
  in option: {attention.norm: in_option}
"""
WAYS = ("in_file", "in_variable", "in_option")
OPTIONS = ("--components", "in_option.py")


@pytest.fixture
def own(lab: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A directory with a sweep that needs three components, each named in another way."""
    write(tmp_path / "parts" / "in_file.py", "in_file")
    monkeypatch.setenv(VARIABLE, str(write(tmp_path / "in_variable.py", "in_variable")))
    write(tmp_path / "in_option.py", "in_option")
    (tmp_path / "own.yaml").write_text(SWEEP)
    return lab


def test_workers_have_the_components_of_the_file_the_variable_and_the_option(own: Command) -> None:
    done = own("sweep", "own.yaml", *OPTIONS, "--workers", "1")
    assert done.status == 0, done
    assert {record.config["attention"]["norm"]["name"] for record in Records().all_finished()} == set(WAYS)
    for command in (("status", "own.yaml"), ("why", "own.yaml", "in option")):
        assert "finished" in own(*command, *OPTIONS).out
    assert own("sync", "own.yaml", *OPTIONS).out.startswith("own: 0 finished and 0 failed runs entered")


TWICE = (*OPTIONS, *OPTIONS, "--components", "parts", "--components", "in_variable.py", "--components", ".")
"""each file by its own path, that of its folder and, with
the fixture's, by the file and the variable"""


@pytest.mark.parametrize(
    "command",
    [
        "sweep own.yaml --dry-run",
        "retry own.yaml none",
        "report own.yaml",
        pytest.param("report all own.yaml", marks=pytest.mark.slow),
        pytest.param("sync all", marks=pytest.mark.slow),
        "status own.yaml",
        "why own.yaml none",
        pytest.param("sync own.yaml", marks=pytest.mark.slow),
        "data show data.path=mine",
        "data prepare data.path=mine",
        "params --model multi_token attention.norm=in_option",
        "results list",
        "settings in_option",
        "components",
    ],
)
def test_a_component_that_is_named_twice_is_loaded_once(command: str, own: Command, corpus: Corpus) -> None:
    expected = {"retry own.yaml none": 2, "why own.yaml none": 2}.get(command, 0)
    done = own(*command.split(), *TWICE)
    assert "twice" not in done.err
    assert done.status == expected, done
    if expected:
        assert "no row named 'none'" in done.complaint


@pytest.mark.parametrize("command", ["sweep own.yaml --dry-run", "report own.yaml", "status own.yaml", "sync own.yaml"])
def test_a_component_that_no_way_brings_is_answered_with_all_ways(command: str, own: Command) -> None:
    said = own(*command.split()).complaint  # without the option
    assert said.startswith("own.yaml: rows.in option: attention.norm: no norms named 'in_option'")
    assert said.endswith(
        "for one of your own: --components FILE, MTA_LAB_COMPONENTS=FILE, or components: [FILE] in the sweep file"
    )


def test_a_component_that_fails_is_one_line_of_plan_too(own: Command) -> None:
    file = Path("in_option.py")
    file.write_text(file.read_text().replace("return ", "return __import__('torch').nn.Linear(3, 3) or "))
    assert "in_option.py: multi_token on layer 1: RuntimeError" in own("plan", "own.yaml", *OPTIONS).complaint
