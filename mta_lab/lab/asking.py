"""Ask finished runs the questions of an evaluation, and keep what they come to in their records."""

from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from components.attention import AttentionConfig
from components.evaluations import Evaluation, TextEvaluation
from components.kernels.substitute import set_compiled
from mta_lab.config import plain
from mta_lab.devices import own
from mta_lab.errors import UserError
from mta_lab.evaluation import Prepared, answered, evaluated_by, evaluation_fingerprint, floors_of, prepare
from mta_lab.lab.display import Advance
from mta_lab.lab.trained import corpus_of, refuse_changed
from mta_lab.model import Decoder
from mta_lab.pictures.trained import Trained
from mta_lab.results.evaluated import Evaluated
from mta_lab.results.records import Records

LONG = 1024
"""tokens above which no whole attention map is stored"""


class Questions:
    """The questions of evaluations, made once for all runs that are asked the same ones."""

    def __init__(self) -> None:
        self._made: dict[str, Prepared] = {}

    def of(self, evaluation: TextEvaluation, run: Trained, fingerprint: str) -> Prepared:
        """Return what a run is asked; raise UserError where no question can be made."""
        if fingerprint not in self._made:
            corpus = corpus_of(run)
            assert corpus is not None  # `fingerprint_for` has refused runs that read no text
            self._made[fingerprint] = prepare(evaluation, run.config, corpus)
        return self._made[fingerprint]


def fingerprint_for(evaluation: TextEvaluation, run: Trained) -> str:
    """Return the fingerprint of an evaluation of a run.

    Raises:
        UserError: the run reads no text, or its components' code has changed since it was trained.
    """
    name = evaluation.name
    if not run.config.reads_text:
        raise UserError(f"{name}: run {run.record.fingerprint} was trained on {run.config.task.name}, and not on text")
    refuse_changed(run, name)
    return evaluation_fingerprint(evaluation, run.config, run.record.content_hash)


def ask_run(
    run: Trained, evaluation: TextEvaluation, records: Records, questions: Questions, advance: Advance
) -> Evaluated:
    """Return what a run comes to by an evaluation: from its record, if that has it already.

    The record keeps it. Interrupted, the same call goes on from the last batch.

    Raises:
        UserError: the run cannot be asked, or an answer is not finite.
    """
    fingerprint = fingerprint_for(evaluation, run)
    if there := run.record.evaluated.get(fingerprint):
        return there
    prepared = questions.of(evaluation, run, fingerprint)
    kept, done = records.answers(run.record.fingerprint, fingerprint), 0

    def heard(tokens: int) -> None:
        nonlocal done
        done += tokens
        advance(done, prepared.tokens)

    own.set_precision(run.config.training.precision)
    model = reading(run, prepared.context).to(own.device())
    try:
        found = answered(model, prepared, run.config.training.precision, kept, heard)
        metrics = evaluated_by(evaluation, prepared.questions, found)
    except FloatingPointError as error:
        raise UserError(f"{evaluation.name}: run {run.record.fingerprint}: {error}") from None
    finally:
        model.to("cpu")
    evaluated = Evaluated(
        name=evaluation.name,
        settings=changed_settings(evaluation),
        metrics=metrics,
        floors=floors_of(prepared.questions),
        notes=[*prepared.notes, *_other_attention(run, prepared.context)],
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    records.add_evaluated(run.record.fingerprint, fingerprint, evaluated)
    with suppress(OSError):
        kept.parent.rmdir()  # where it is empty
    return evaluated


def _other_attention(run: Trained, context: int) -> list[str]:
    if attention_for(run, context) == run.config.attention:
        return []
    return [f"texts of {context:,} tokens: attention.impl is auto in place of eager, which stores whole maps"]


def changed_settings(evaluation: Evaluation) -> dict[str, Any]:
    """Return the settings of an evaluation that are not its defaults."""
    changed = {one.name for one in fields(evaluation) if getattr(evaluation, one.name) != one.default}
    return {name: value for name, value in plain(evaluation).items() if name in changed}


def attention_for(run: Trained, context: int) -> AttentionConfig:
    """Return the run's attention; if it was set to store whole maps, one that long texts fit in.

    The reference keeps a map of all queries and keys: 6 GB at 4,096 tokens of a nano model.
    """
    attention = run.config.attention
    stores = context > LONG and getattr(attention, "impl", "") == "eager"
    return replace(attention, impl="auto") if stores else attention  # type: ignore[call-arg]  # it has the setting


def reading(run: Trained, context: int) -> Decoder:
    """Return the run's model, able to read `context` tokens, in evaluation mode.

    The weights are the same; the rotary table is as long as it takes.
    """
    config, attention = run.config, attention_for(run, context)
    if context <= config.model.context and attention == config.attention:
        return run.model.eval()
    longer = Decoder(replace(config.model, context=max(context, config.model.context)), attention)
    longer.load_state_dict(run.model.state_dict())
    return set_compiled(longer, config.training.compiled).eval()
