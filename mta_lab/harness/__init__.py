"""Ask finished runs the tasks of lm-evaluation-harness, an extra that nobody else imports."""

from collections.abc import Callable
from importlib import import_module

from components.evaluations import HarnessEvaluation
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.errors import UserError
from mta_lab.evaluation import Asks

LIBRARY = "lm_eval"


def of_harness(evaluation: HarnessEvaluation, config: RunConfig, corpus: Corpus, note: Callable[[str], None]) -> Asks:
    """Return the tasks that a run is asked; `note` hears of each that cannot be asked here.

    Raises:
        UserError: the harness is not installed; it knows no task of that name, or one cannot be
            asked.
    """
    try:
        home = import_module("mta_lab.harness.prepared")  # by name: what it imports is an extra
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "mta_lab":
            raise
        needs = f"needs the package {package}; type: pip install 'mta-lab[lm-eval]'"
        raise UserError(f"{evaluation.name}: {needs}") from None
    asks: Asks = home.prepare(evaluation, config, corpus, note)
    return asks
