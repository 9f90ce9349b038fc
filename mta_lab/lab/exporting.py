"""Write a finished run as a folder that transformers opens; needs the extra `hf`."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mta_lab.errors import UserError
from mta_lab.huggingface import writing
from mta_lab.huggingface.card import About, card
from mta_lab.huggingface.settings import llama_settings
from mta_lab.lab.plan import Plan
from mta_lab.lab.tables import finished_table
from mta_lab.lab.trained import corpus_of, opened, record_of_row, refuse_changed
from mta_lab.pictures.trained import Trained
from mta_lab.report import markdown

COMPARED = 128
"""tokens over which the logits of the two models are compared"""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A model that was written."""

    folder: Path
    model: str
    """the class of transformers, or of ours, that opens it"""
    parameters: int
    agreement: writing.Agreement


def export(plan: Plan, row: str, seed: int | None, folder: Path) -> Exported:
    """Export the run of a row under `seed`, or under the first, as `export_run` does.

    Raises:
        UserError: it is not finished; or as `export_run` says.
    """
    refuse_full(folder)
    run = opened(record_of_row(plan, row, seed), plan.records, plan.display)
    return export_run(plan, plan.sweep.row(row).name, run, folder)


def export_run(plan: Plan, row: str, run: Trained, folder: Path) -> Exported:
    """Write the model, tokenizer and card of a row's run into a new folder, all of it or nothing.

    Raises:
        UserError: the run's text, weights or code are not what they were, a component has no
            counterpart, or the folder holds something or cannot be written.
    """
    refuse_full(folder)
    refuse_changed(run, plan.given)
    settings, corpus = llama_settings(run.config), corpus_of(run)
    ends = {} if corpus is None else {"eos_token_id": corpus.end_of_text}
    model = writing.llama_of(run.model, {**settings, "bos_token_id": None, "eos_token_id": None, **ends})
    found = writing.agreement(model, run.model, _tokens(run))
    about = About(
        title=plan.sweep.title,
        row=row,
        command=plan.command,
        model=type(model).__name__,
        tokenizer=corpus.tokenizer_name if corpus else "",
        difference=found.difference,
        largest=found.largest,
        table=markdown(finished_table(plan)),
    )
    context = run.config.model.context
    tokenizer = writing.tokenizer_of(corpus.tokenizer(), corpus.end_of_text, context) if corpus else None
    writing.write(folder, model, tokenizer, card(run.record, about))
    return Exported(folder=folder, model=about.model, parameters=run.record.parameters, agreement=found)


def refuse_full(folder: Path) -> None:
    """Raise UserError where the folder to write holds something, or is a file."""
    try:
        full = folder.is_file() or (folder.is_dir() and any(folder.iterdir()))
    except OSError as error:  # a name that is too long, a folder that others may not read
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None
    if full:
        raise UserError(f"{folder}: is there already; allowed: a new folder, or an empty one")


def _tokens(run: Trained) -> Tensor:
    """Return two sequences of tokens drawn at random, the same each time."""
    model, generator = run.config.model, torch.Generator().manual_seed(0)
    return torch.randint(model.vocabulary, (2, min(model.context, COMPARED)), generator=generator)
