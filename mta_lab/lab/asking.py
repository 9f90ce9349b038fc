"""Ask finished runs the questions of an evaluation, and keep what they come to in their records."""

from contextlib import suppress
from dataclasses import replace

from components.attention import AttentionConfig
from components.evaluations import HarnessEvaluation, TextEvaluation
from components.kernels.substitute import set_compiled
from mta_lab.devices import own
from mta_lab.errors import UserError
from mta_lab.evaluation import Asks, evaluation_fingerprint, prepare
from mta_lab.harness import of_harness
from mta_lab.lab.display import Advance, Say
from mta_lab.lab.to_ask import check_installed
from mta_lab.lab.trained import corpus_of, refuse_changed
from mta_lab.model import Decoder
from mta_lab.pictures.trained import Trained
from mta_lab.results.evaluated import Evaluated
from mta_lab.results.records import Records

LONG = 1024
"""tokens above which no whole attention map is stored"""


class Questions:
    """The questions of evaluations, made once for all runs that are asked the same ones."""

    def __init__(self, note: Say = lambda line: None) -> None:
        """Begin; `note` hears of each task of a harness that cannot be asked here."""
        self._note = note
        self._made: dict[str, Asks | UserError] = {}

    def of(self, evaluation: TextEvaluation, run: Trained, fingerprint: str) -> Asks:
        """Return what a run is asked; raise UserError where no question can be made."""
        if fingerprint not in self._made:
            try:
                self._made[fingerprint] = self._make(evaluation, run)
            except UserError as error:  # the next run would wait as long to hear the same
                self._made[fingerprint] = error
        if isinstance(found := self._made[fingerprint], UserError):
            raise found
        return found

    def _make(self, evaluation: TextEvaluation, run: Trained) -> Asks:
        corpus = corpus_of(run)
        assert corpus is not None  # `fingerprint_for` has refused runs that read no text
        if isinstance(evaluation, HarnessEvaluation):
            check_installed(evaluation)
            return of_harness(evaluation, run.config, corpus, self._note)
        return prepare(evaluation, run.config, corpus)


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
    kept, precision = records.answers(run.record.fingerprint, fingerprint), run.config.training.precision
    own.set_precision(precision)
    model = reading(run, prepared.context).to(own.device())
    try:
        found = prepared.ask(model, precision, kept, advance)
    except FloatingPointError as error:
        raise UserError(f"{evaluation.name}: run {run.record.fingerprint}: {error}") from None
    finally:
        model.to("cpu")
    evaluated = replace(found, notes=[*found.notes, *_other_attention(run, prepared.context)])
    records.add_evaluated(run.record.fingerprint, fingerprint, evaluated)
    with suppress(OSError):
        kept.parent.rmdir()  # where it is empty
    return evaluated


def _other_attention(run: Trained, context: int) -> list[str]:
    if attention_for(run, context) == run.config.attention:
        return []
    return [f"texts of {context:,} tokens: attention.impl is auto in place of eager, which stores whole maps"]


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

    Raises UserError where its positions have weights, which end with its context.
    """
    config, attention = run.config, attention_for(run, context)
    if context <= config.model.context and attention == config.attention:
        return run.model.eval()
    positions, most = config.model.positions, config.model.context
    if context > most and not positions.any_length:
        said = f"run {run.record.fingerprint} has '{positions.name}' positions, and none after {most:,} tokens"
        raise UserError(f"{said}; got texts of {context:,} tokens, allowed: up to its context")
    longer = Decoder(replace(config.model, context=max(context, config.model.context)), attention)
    longer.load_state_dict(run.model.state_dict())
    return set_compiled(longer, config.training.compiled).eval()
