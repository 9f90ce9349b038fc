"""The command line, run in this process in a directory of its own."""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mta_lab.cli import main
from mta_lab.data import Corpus, prepare
from mta_lab.sweep import load_sweep
from tests.config.helpers import registry_restored


@dataclass(frozen=True)
class Outcome:
    """The exit status and the output of a command."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that a user's mistake is answered with."""
        assert self.status == 2
        assert self.out == ""
        assert "Traceback" not in self.err
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("mta-lab: ").strip()


Command = Callable[..., Outcome]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """`typed("report", "kernel_sizes")` is `mta-lab report kernel_sizes` in the current folder."""

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["mta-lab", *arguments])
        capsys.readouterr()
        status: int | str | None = 0
        try:
            main()
        except SystemExit as end:
            status = end.code
        assert isinstance(status, int | None)
        return Outcome(status or 0, *capsys.readouterr())

    with registry_restored():
        yield run


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Command) -> Command:
    """`lab("report", "kernel_sizes")` is `mta-lab report kernel_sizes` in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return typed


@pytest.fixture
def corpus(tmp_path: Path, lab: Command) -> Corpus:
    """A prepared text of the user's own (`data.path=mine`), for the nano scale's vocabulary."""
    generator = random.Random(0)
    (tmp_path / "mine").mkdir()
    words = ["the", "cat", "sees", "a", "river", "and", "old", "trees"]
    for domain in ("news", "tales"):
        documents = (" ".join(generator.choices(words, k=60)) for _ in range(60))
        (tmp_path / "mine" / f"{domain}.txt").write_text("\n\n".join(documents))
    config = load_sweep("kernel_sizes", scale="nano", settings=["data.path=mine"]).rows[0].config
    return prepare(config.data, config.model.vocabulary, Path("data"))
