"""Count how often the runs of a plan read their training text."""

from collections.abc import Mapping
from functools import cache, partial

from mta_lab.data import find
from mta_lab.data.mixture import passes
from mta_lab.lab.plan import Plan
from mta_lab.lab.texts import absent_texts
from mta_lab.report.text import often
from mta_lab.workspace import CORPORA


def passes_of(plan: Plan) -> Mapping[str, float]:
    """Return the most passes of a run over each domain; empty where no text is read or here."""
    most: dict[str, float] = {}
    if absent_texts(plan):
        return most
    opened = cache(partial(find, root=CORPORA))
    for config in (row.config for row in plan.sweep.staged.rows if row.config.reads_text):
        if corpus := opened(config.data, config.model.vocabulary):
            for name, number in passes(config.data, corpus.domains, config.text_tokens).items():
                most[name] = max(number, most.get(name, 0.0))
    return most


def in_words(plan: Plan) -> str:
    """Return a sentence on the passes of a run over its text; empty where they are not known."""
    found = passes_of(plan)
    if not found:
        return ""
    told = ", ".join(f"{name} {number:.2g}" for name, number in sorted(found.items()))
    return f"{often(found) or 'Passes of a run over its training text: ' + told}."


def repeated(plan: Plan) -> list[str]:
    """Return a line on the text that a run reads more than four times, or none."""
    return [line for line in [often(passes_of(plan))] if line]
