"""Ask finished runs the tasks of lm-evaluation-harness, an extra that nobody else imports."""

from collections.abc import Callable
from importlib import import_module

from components.evaluations import HarnessEvaluation
from components.evaluations.stand_ins import ENDING
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.evaluation import Asks


def of_harness(evaluation: HarnessEvaluation, config: RunConfig, corpus: Corpus, note: Callable[[str], None]) -> Asks:
    """Return the tasks that a run is asked; `note` hears of each that cannot be asked here.

    The extra is installed.

    Raises:
        UserError: the harness knows no task of that name, or one cannot be asked.
    """
    asks: Asks = import_module("mta_lab.harness.prepared").prepare(evaluation, config, corpus, note)  # by name: slow
    return asks


def missing_tasks(evaluation: HarnessEvaluation) -> list[str]:
    """Return why each task that is no stand-in cannot be asked here; the extra is installed.

    Raises:
        UserError: the harness knows no task of that name.
    """
    if all(ENDING in task for task in evaluation.tasks):  # the text makes them, which is read later
        return []
    found: list[str] = import_module("mta_lab.harness.tasks").missing_tasks(evaluation)  # by name: slow
    return found
