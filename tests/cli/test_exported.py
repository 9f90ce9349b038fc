"""`mta-lab export`: what transformers opens in a process that has no MTA Lab."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import mta_lab
from mta_lab.data import find
from mta_lab.results.records import Records
from mta_lab.training import tensors
from mta_lab.workspace import CORPORA
from tests.cli.conftest import Command
from tests.lab.asked import asked, trained_folder
from tests.real.extras import WITH_HF

pytestmark = [pytest.mark.real, WITH_HF]
__all__ = ["asked", "trained_folder"]  # fixtures
SWEEP = "results/sweeps/asked.yaml"
OPENS = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, trusted, out = sys.argv[1:]
trust = {"trust_remote_code": True} if trusted == "yes" else {}
model = AutoModelForCausalLM.from_pretrained(folder, **trust)
tokenizer = AutoTokenizer.from_pretrained(folder, **trust)
prompt = tokenizer(["the old river", "a"], return_tensors="pt", padding=True)
greedy = [model.generate(**prompt, max_new_tokens=12, do_sample=False, use_cache=use) for use in (True, False)]
with torch.no_grad():
    logits = model(torch.arange(60)[None]).logits
ids = tokenizer("A river, and 12 old trees.").input_ids
found = {"logits": logits, "cached": greedy[0], "uncached": greedy[1], "ids": ids, "end": tokenizer.eos_token_id}
torch.save(found, out)
assert not [name for name in sys.modules if name.partition(".")[0] in ("mta_lab", "components")]
print(type(model).__name__, model.config.model_type)
"""
Export = Callable[..., tuple[int, str, str]]


@pytest.fixture
def export(asked: mta_lab.LoadedSweep, typed: Command) -> Export:
    """`export("mta", "--to", "model")` is the command: its status, output and remarks."""

    def run(*arguments: str) -> tuple[int, str, str]:
        done = typed("export", SWEEP, *arguments)
        return done.status, done.out, done.err

    return run


def opened(folder: Path, trusted: str) -> tuple[str, dict[str, torch.Tensor]]:
    """Return what a process that imports nothing of ours says of a folder and computes with it."""
    out = folder / "computed.pt"
    done = subprocess.run(
        [sys.executable, "-P", "-c", OPENS, str(folder), trusted, str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), tensors.read(out)


@pytest.mark.parametrize(
    ("row", "trusted", "opens_as"),
    [("plain", "no", "LlamaForCausalLM llama"), ("mta", "yes", "MtaLlamaForCausalLM mta_llama")],
)
def test_a_process_without_mta_lab_opens_it_and_computes_the_same(
    export: Export, asked: mta_lab.LoadedSweep, tmp_path: Path, row: str, trusted: str, opens_as: str
) -> None:
    status, out, _ = export(row, "--to", str(tmp_path / "model"))
    assert status == 0
    assert f"{tmp_path / 'model'} is written: {opens_as.partition(' ')[0]}, " in out
    said, computed = opened(tmp_path / "model", trusted)
    assert said == opens_as
    run = asked.run_of(row, seed=0)
    with torch.no_grad():
        torch.testing.assert_close(computed["logits"], run.model()(torch.arange(60)[None]), rtol=0, atol=1e-4)
    assert torch.equal(computed["cached"], computed["uncached"])
    corpus = find(run._trained.config.data, 400, CORPORA)
    assert corpus is not None
    assert computed["ids"] == corpus.tokenizer().encode("A river, and 12 old trees.").ids
    assert computed["end"] == corpus.end_of_text


def test_the_card_has_the_table_and_the_run(export: Export, tmp_path: Path) -> None:
    export("mta", "--to", str(tmp_path / "model"))
    text = (tmp_path / "model" / "README.md").read_text()
    record = next(one for one in Records().all_finished() if one.config["attention"]["name"] == "multi_token")
    assert f"- run: `{record.fingerprint}`" in text
    assert "# Asked: mta\n" in text
    assert "| plain |" in text
    assert json.loads((tmp_path / "model" / "config.json").read_text())["pre_softmax"][0]["layers"] == [3]


def test_a_folder_that_holds_something_is_left_alone(export: Export, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    status, out, remarks = export("mta", "--to", str(tmp_path))
    assert (status, out, remarks.count("\n")) == (2, "", 1)
    assert f"{tmp_path}: is there already; allowed: a new folder, or an empty one" in remarks
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_a_name_that_no_disk_takes_is_refused_in_one_line(export: Export) -> None:
    status, out, remarks = export("mta", "--to", "long" * 100)
    assert (status, out, remarks.count("\n")) == (2, "", 1)
    assert "cannot be written: File name too long" in remarks


def test_a_full_disk_is_one_line_and_nothing_is_left(trained_folder: Path, tmp_path: Path) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-euc"]
    if subprocess.run([*namespace, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this system grants no mount namespaces")
    story = 'mount -t tmpfs -o size=100k none "$0"; "$@" --to "$0/model" || echo "status $?"; ls -A "$0"'
    command = [sys.executable, "-P", "-m", "mta_lab", "export", SWEEP, "mta"]
    told = subprocess.run(
        [*namespace, story, str(tmp_path), *command],
        cwd=trained_folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.stdout == "status 2\n"
    assert f"{tmp_path}/model: cannot be written: " in told.stderr
    assert "No space left on device" in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_run_whose_text_has_another_tokenizer_by_now_is_refused(export: Export, tmp_path: Path) -> None:
    (tokenizer,) = Path("data").glob("*/tokens-*/tokenizer.json")
    before = tokenizer.read_text()
    try:
        tokenizer.write_text(before.replace('"q":', '"qq":'))
        status, _, remarks = export("mta", "--to", str(tmp_path / "model"))
    finally:
        tokenizer.write_text(before)
    assert status == 2
    assert remarks.count("\n") == 1
    assert not (tmp_path / "model").exists()
