"""Find the text that a plan's runs read: prepared, named by records alone, or neither."""

from collections.abc import Callable

from mta_lab.config import DataConfig
from mta_lab.data import Corpus, find, prepare
from mta_lab.data.corpus import reachable
from mta_lab.lab.display import Display
from mta_lab.lab.plan import Plan
from mta_lab.planning.runs import Run, runs_of
from mta_lab.planning.texts import recorded_runs
from mta_lab.sweep import PlannedRun
from mta_lab.workspace import CORPORA


def preparing(display: Display) -> Callable[[PlannedRun], Corpus]:
    """Return a function that opens the text of a run, and prepares it first where needed."""
    return _opener(lambda run: prepare(run.config.data, run.config.model.vocabulary, CORPORA, display.say))


def known_runs(plan: Plan) -> list[Run] | None:
    """Return the runs on the text that is prepared here, or else on the text that records name.

    None where there is neither; nothing is finished then.
    """
    absent = absent_texts(plan)
    if not absent:
        return runs_of(plan.sweep, _opener(_open_prepared))
    runs = recorded_runs(plan.sweep, plan.records)
    if runs is None:
        for data, vocabulary in absent:
            find(data, vocabulary, CORPORA)  # refuses a path that does not exist
    return runs


def absent_texts(plan: Plan) -> list[tuple[DataConfig, int]]:
    """Return the texts of the sweep that are not prepared here, each with its vocabulary's size."""
    texts = {
        (run.data, run.model.vocabulary) for run in (row.config for row in plan.sweep.staged.rows) if run.reads_text
    }
    return [(data, vocabulary) for data, vocabulary in texts if not _is_here(data, vocabulary)]


def _is_here(data: DataConfig, vocabulary: int) -> bool:
    return reachable(data) and find(data, vocabulary, CORPORA) is not None


def _open_prepared(run: PlannedRun) -> Corpus:
    corpus = find(run.config.data, run.config.model.vocabulary, CORPORA)
    assert corpus
    return corpus


def _opener(open_one: Callable[[PlannedRun], Corpus]) -> Callable[[PlannedRun], Corpus]:
    """Return a function that opens each text once, however many runs read it."""
    opened: dict[object, Corpus] = {}

    def open_corpus(run: PlannedRun) -> Corpus:
        key = (run.config.data, run.config.model.vocabulary)
        if key not in opened:
            opened[key] = open_one(run)
        return opened[key]

    return open_corpus
