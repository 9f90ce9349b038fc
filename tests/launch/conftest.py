"""One launch of good and bad runs on two real workers, for all tests of this folder.

It takes half a minute.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from rich.console import Console

from components.registry import FAMILIES
from mta_lab.errors import UserError
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.launches import launch_plan
from mta_lab.lab.plan import Plan
from mta_lab.lab.plans import plan
from mta_lab.lab.retries import clear_failures
from mta_lab.launch.events import (
    Event,
    Listener,
    RunFailed,
    RunFinished,
    RunProgressed,
    RunPruned,
    RunStarted,
)
from mta_lab.launch.outlook import Outlook
from mta_lab.planning.runs import Run
from mta_lab.plugins import load_components
from mta_lab.report import Table, render
from mta_lab.results.records import Failure, Record
from tests.launch.sweeps import write_sweep, write_words

ROWS = {
    "deadly": {"attention": {"name": "moody", "mood": "deadly"}},
    "plain": {"attention": "softmax"},
    "raising": {"attention": {"name": "moody", "mood": "raising"}},
    "own": {"attention": "moody"},
}


@dataclass
class Launched:
    """The outcome of a launch."""

    folder: Path
    status: int
    output: str
    events: list[tuple[str, int, Run]] = field(default_factory=list)
    """(started, advanced, stopped or ended; worker; run), in order"""
    results: list[Record | Failure] = field(default_factory=list)
    refusal: str = ""
    """what a second launch at the same time said"""


class Recorder:
    """Keeps what a listener hears; tries a second launch when the first run starts."""

    def __init__(self, inner: Listener, launched: Launched, again: Plan | None) -> None:
        self.inner, self.launched, self.again = inner, launched, again

    def hear(self, event: Event, outlook: Outlook) -> None:
        match event:
            case RunStarted():
                self._keep("started", event)
            case RunProgressed():
                self._keep("advanced", event)
            case RunPruned():
                self._keep("stopped", event)
            case RunFinished(record=result) | RunFailed(failure=result):
                self._keep("ended", event)
                self.launched.results.append(result)
        self.inner.hear(event, outlook)
        if isinstance(event, RunStarted) and self.again and not self.launched.refusal:
            try:
                launch_plan(self.again, 1)
                self.launched.refusal = "none: it ran"
            except UserError as error:
                self.launched.refusal = str(error)

    def _keep(self, kind: str, event: RunStarted | RunProgressed | RunPruned | RunFinished | RunFailed) -> None:
        self.launched.events.append((kind, event.slot, event.run))


class Log(Display):
    """Keeps the lines of a launch and its table, as a log has them, and what its listener hears."""

    def __init__(self, launched: Launched) -> None:
        self.text, self.launched = io.StringIO(), launched
        self.again: Plan | None = None
        """what is launched a second time meanwhile"""
        super().__init__(lambda line: print(line, file=self.text), lambda line: print(line, file=self.text))

    @contextmanager
    def launch(self) -> Iterator[Listener]:
        with super().launch() as inner:
            yield Recorder(inner, self.launched, self.again)

    def show(self, table: Table) -> None:
        render(table, "rich", Console(file=self.text, width=140))


def planned(file: Path, display: Display | None = None, components: Sequence[Path] = ()) -> Plan:
    """Plan the sweep in `file` at the nano scale."""
    return plan(str(file), Conditions(components=components), display or Display())


def run(
    file: Path,
    components: Sequence[Path],
    *,
    compete: bool = False,
    workers: int = 2,
    before: Callable[[Plan], object] = lambda _: None,
    trial_timeout: float | None = None,
) -> Launched:
    """Launch the sweep in `file`, in the current directory; a worker takes seconds to start."""
    launched = Launched(folder=file.parent, status=-1, output="")
    log = Log(launched)
    found = planned(file, log)
    before(found)
    log.again = found if compete else None
    launched.status = 0 if launch_plan(replace(found, components=components), workers, trial_timeout).complete else 1
    launched.output = log.text.getvalue()
    return launched


@pytest.fixture(scope="package")
def moody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file with a user's component in the current directory, known as long as the tests run."""
    folder = tmp_path_factory.mktemp("launch")
    file = folder / "moody.py"
    file.write_text((Path(__file__).parent / "moody.py").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "1")  # seconds; a launch here is short
        load_components([file])
        yield file
    del FAMILIES["attention"]._variants["moody"]


@pytest.fixture(scope="package")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small text of one domain."""
    return write_words(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="package")
def first(moody: Path, words: Path) -> Launched:
    """Two seeds of four rows: two kill their worker, two raise, four are well."""
    (moody.parent / "broken").touch()
    file = write_sweep(moody.parent / "first.yaml", ROWS, retry={"killed": 0}, data={"path": str(words)})
    return run(file, [moody], compete=True)


@pytest.fixture(scope="package")
def second(first: Launched, moody: Path, words: Path) -> Launched:
    """Another sweep, with a finished row of the first, and one that failed and is mended."""
    (moody.parent / "broken").unlink()
    rows = {"same": ROWS["plain"], "mended": ROWS["raising"]}
    file = write_sweep(moody.parent / "second.yaml", rows, data={"path": str(words)})
    return run(file, [moody], before=clear_failures)
