"""Say before training what finished runs will be asked, and what is not installed for that."""

from components.evaluations import Evaluation, HarnessEvaluation
from mta_lab.config import in_words
from mta_lab.errors import UserError
from mta_lab.evaluation import changed_settings
from mta_lab.harness import missing_tasks
from mta_lab.lab.extras import check_extra
from mta_lab.lab.plan import Plan

LATER = "runs are trained without it, and the same command asks them later"


def asked_in_words(plan: Plan) -> list[str]:
    """Return a line on what a plan's finished runs are asked, and on what is not installed."""
    asked = ", ".join(_in_words(evaluation) for evaluation in plan.sweep.evaluations)
    return [f"Each finished run is asked: {asked}; the times are without that.", *cannot_ask(plan)] if asked else []


def _in_words(evaluation: Evaluation) -> str:
    """Return an evaluation with its settings, like 'lm_eval(tasks [piqa, boolq])'."""
    changed = ", ".join(f"{key} {in_words(value)}" for key, value in changed_settings(evaluation).items())
    return f"{evaluation.name}({changed})" if changed else evaluation.name


def cannot_ask(plan: Plan) -> list[str]:
    """Return a line on each evaluation of a plan that cannot be asked here, and on each such task.

    Raises:
        UserError: an evaluation names a task that there is none of.
    """
    found = list[str]()
    for evaluation in plan.sweep.evaluations:
        try:
            check_installed(evaluation)
        except UserError as error:
            found.append(f"{error}; {LATER}")
            continue
        if isinstance(evaluation, HarnessEvaluation) and (missing := missing_tasks(evaluation)):
            found += [*missing, f"{evaluation.name}: {LATER}"]
    return found


def check_installed(evaluation: Evaluation) -> None:
    """Raise UserError with what to type where the library of an evaluation is missing."""
    if isinstance(evaluation, HarnessEvaluation):
        check_extra("lm-eval", evaluation.name)
