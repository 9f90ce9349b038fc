"""A sweep on a text of one's own whose two runs are trained in three steps."""

import json
import shutil
from pathlib import Path

import pytest

import mta_lab
from mta_lab.data import prepare
from mta_lab.launch.recording import record_of
from mta_lab.planning.runs import Run
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from mta_lab.testing.question_conformance import prose
from mta_lab.training.run import train
from mta_lab.workspace import CORPORA
from tests.launch.sweeps import SMALL

CONTEXT = 64


def sweep() -> dict[str, object]:
    """Return the sweep: two rows, a seed each."""
    model = {**SMALL["model"], "layers": 4, "context": CONTEXT, "vocabulary": 400}
    training = {**SMALL["training"], "steps": 3, "warmup_steps": 1, "validations": 1}
    base = {"model": model, "training": training, "training.validation_tokens": 128, "data.path": "text"}
    return {
        "title": "Asked",
        "base": base,
        "seeds": 1,
        "rows": {"plain": {"attention": "softmax"}, "mta": {"attention": "multi_token"}},
    }


def train_rows(documents: int = 40) -> None:
    """Write the text, and train both rows, in the current folder."""
    Path("text").mkdir()
    lines = "".join(f"{json.dumps({'text': document})}\n" for document in prose(documents))
    (Path("text") / "book.jsonl").write_text(lines)
    mta_lab.load(sweep(), quiet=True)
    records = Records()
    for planned in load_sweep("results/sweeps/asked.yaml", scale="nano").runs():
        corpus = prepare(planned.config.data, planned.config.model.vocabulary, CORPORA)
        run = Run.of(planned, corpus.content_hash)
        result = train(run.config, corpus, weights=records.weights(run.fingerprint))
        records.finish(record_of(run, result, run_id="", threads=1))


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs that were trained in three steps, and their text."""
    folder = tmp_path_factory.mktemp("asked")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train_rows()
    return folder


@pytest.fixture
def asked(trained_folder: Path, monkeypatch: pytest.MonkeyPatch) -> mta_lab.LoadedSweep:
    """Return the sweep of these runs, whose records no other test has written to."""
    monkeypatch.chdir(trained_folder)
    results, pristine = Path("results"), Path("pristine")
    if not pristine.exists():
        shutil.copytree(results, pristine)
    shutil.rmtree(results)
    shutil.copytree(pristine, results)
    return mta_lab.load(sweep(), quiet=True)
