"""`mta-lab kernels` and `mta-lab attend`: which run is meant, what is written, mistakes."""

from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from mta_lab.config import RunConfig, fingerprint
from mta_lab.data import Corpus
from mta_lab.model import build_model
from mta_lab.pictures import output, trained
from mta_lab.pictures.output import Panel
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from mta_lab.training import tensors
from tests.cli.conftest import Command
from tests.pictures.models import MTA, config_of
from tests.report.examples import finish

OWN = "data.path=mine"
MAGIC = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml", ".html": b"<!DOCTYPE html>"}


def keep(config: RunConfig, content_hash: str = "", *, weights: bool = True) -> str:
    """A made-up record of a run with the weights that its training starts from; its fingerprint."""
    name = fingerprint(config, content_hash)
    finish(Records(), name, 11.25, config, content_hash=content_hash)
    if weights:
        tensors.write(Records().weights(name), build_model(config, config.seed).state_dict())
    return name


@pytest.fixture
def toy(lab: Command) -> str:
    """A toy MTA in the directory of `lab`."""
    return keep(config_of(MTA))


@pytest.mark.parametrize("ending", MAGIC)
@pytest.mark.parametrize("command", ["kernels", "attend"])
def test_the_ending_names_the_format(command: str, ending: str, lab: Command, toy: str) -> None:
    done = lab(command, toy[:6], "--output", f"deep/picture{ending}")
    assert (done.status, done.out.splitlines()[-1]) == (0, f"deep/picture{ending}")
    assert Path(f"deep/picture{ending}").read_bytes().startswith(MAGIC[ending])


def test_the_page_needs_nothing_else(lab: Command, toy: str) -> None:
    assert lab("kernels", toy).out == f"results/pictures/kernels-{toy}.html\n"
    page = Path(f"results/pictures/kernels-{toy}.html").read_text()
    assert page.count("<svg ") == 3
    assert f"run {toy}" in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert not [part for part in ('src="', "url(h", "@import") if part in page]
    assert [part[:5] for part in page.split('href="')[1:] if not part.startswith(("#", "data:"))] == []


def test_a_text_of_ones_own_on_the_toy_task(lab: Command, toy: str) -> None:
    done = lab("attend", toy, "--text", "abc.def#ed", "--layer", "2", "--head", "3", "--output", "a.svg")
    assert done.out == "layer 2, head 3 of 'abc.def#ed'\na.svg\n"


def test_a_record_is_the_run_that_it_is_of(lab: Command, toy: str) -> None:
    assert lab("kernels", f"results/runs/{toy}.json").status == 0


def test_a_row_of_a_sweep_and_a_text_in_words(lab: Command, corpus: Corpus) -> None:
    rows = {row.name: row for row in load_sweep("kernel_sizes", scale="nano", settings=[OWN]).rows}
    keep(rows["4x9"].config, corpus.content_hash)
    assert lab("kernels", "kernel_sizes", "4x9", OWN).status == 0
    done = lab("attend", "kernel_sizes", "4x9", OWN, "--text", "the old cat\nsees $x^2$")
    assert done.status == 0
    assert "layer 3, head " in done.out  # the one with a convolution
    text = "--text: got "
    assert f"{text}an empty text" in lab("attend", "kernel_sizes", "4x9", OWN, "--text", "").complaint
    assert "up to the 128" in lab("attend", "kernel_sizes", "4x9", OWN, "--text", "!" * 129).complaint
    assert "--text: is missing" in lab("attend", "kernel_sizes", "4x9", OWN).complaint
    assert "4x9 seed 1 is not finished here" in lab("kernels", "kernel_sizes", "4x9", OWN, "--seed", "1").complaint
    again = f"`mta-lab sweep kernel_sizes {OWN} --scale nano` trains it"
    assert again in lab("kernels", "kernel_sizes", "8x13", OWN).complaint
    assert "did you mean '4x9'?" in lab("kernels", "kernel_sizes", "4x8", OWN).complaint
    assert "row: say which" in lab("kernels", "kernel_sizes", OWN).complaint


def test_runs_that_differ_in_the_norm_alone_stand_beside_it(lab: Command, toy: str) -> None:
    none = keep(config_of({**MTA, "norm": "none"}))
    keep(config_of({**MTA, "norm": "depth"}), weights=False)
    keep(config_of({**MTA, "norm": "plain"}, seed=1))
    record = Records().finished(toy)
    assert record
    run = trained.load(record, Records())
    assert [other.record.fingerprint for other in trained.other_norms(run, Records())] == [none]
    assert trained.norm_of(run) == "norm gate, scalar"


def test_a_run_without_weights_says_what_to_type(lab: Command) -> None:
    name = keep(config_of(MTA), weights=False)
    complaint = lab("kernels", name).complaint
    assert f"results/weights/{name}.pt: is missing" in complaint
    assert f"`rm results/runs/{name}.json`" in complaint


@pytest.mark.parametrize("content", [b"", b"PK half", "another model's"])
def test_weights_that_cannot_be_read_are_named(content: bytes | str, lab: Command, toy: str) -> None:
    path = Records().weights(toy)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        tensors.write(path, {"norm.weight": torch.ones(3)})
    assert f"results/weights/{toy}.pt: cannot be read (" in lab("kernels", toy).complaint


def test_a_run_of_older_code_is_said(lab: Command) -> None:
    config = config_of(MTA)
    finish(Records(), "a" * 16, 11.25, config, content_hash="")
    tensors.write(Records().weights("a" * 16), build_model(config, 0).state_dict())
    done = lab("kernels", "aaaa")
    assert done.status == 0
    assert "code has changed since it was run" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["kernels", "kernel_size", "4x9"], "did you mean 'kernel_sizes'?"),
        (["kernels", "beef"], "beef: no finished run in results has a fingerprint that begins with it"),
        (["attend", "nowhere/runs/beef.json"], "no finished run in nowhere has a fingerprint that begins"),
        (["kernels", "toy", "row"], "toy: got row, allowed: nothing besides"),
        (["kernels", "toy", "--output", "a.jpg"], "allowed: a file that ends in .html, .png, .pdf, .svg"),
        (["attend", "toy", "--text", "ABC"], "--text: got 'A', allowed: letters a-z"),
        (["attend", "toy", "--layer", "3"], "--layer: got 3, allowed: 1 to 2"),
        (["attend", "toy", "--head", "5"], "--head: got 5, allowed: 1 to 4"),
        (["attend", "toy", "--output", "file/a.png"], "file/a.png: cannot be written"),
        (["kernels", "plain"], "'softmax' has no kernel and no head matrix"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], says: str, lab: Command, toy: str) -> None:
    Path("file").touch()
    names = {"toy": toy, "plain": keep(config_of("softmax"))}
    done = lab(*[names.get(word, word) for word in arguments])
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert says in done.err.replace(toy, "toy")


def test_a_transformer_has_one_map(lab: Command) -> None:
    done = lab("attend", keep(config_of("softmax")), "--output", "a.png")
    assert done.out.startswith("layer ")


def test_a_font_that_lacks_a_sign_and_a_dollar_are_no_trouble(tmp_path: Path) -> None:
    def draw(figure: Figure) -> None:
        figure.subplots().set_title("東 $a$ $\\frac")

    panel = Panel(title="$", about="$x^{", size=(3, 2), draw=draw)
    for ending in output.FORMATS:
        output.save(tmp_path / f"a{ending}", "$", [panel])
