"""Hand text and files to an evaluation, which reads neither by itself."""

from collections.abc import Mapping, Sequence
from functools import partial

from tokenizers import Tokenizer

from components.evaluations.questions import Material, TextEvaluation
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.data.decoded import documents_of, plain_tokenizer, token_counts
from mta_lab.evaluation.files import records_of

MOST = 1 << 24  # held-out tokens of a domain that questions are made of; imported text may have more


def material_of(evaluation: TextEvaluation, config: RunConfig, corpus: Corpus) -> Material:
    """Return what an evaluation of a run makes its questions of.

    Raises:
        UserError: the text has changed, or a file that the evaluation reads is missing or no such
            file.
    """
    tokenizer = plain_tokenizer(corpus)
    return Material(
        documents=_documents(config, corpus, tokenizer),
        tokens=partial(token_counts, tokenizer),
        context=evaluation.context or config.model.context,
        records=records_of(evaluation),
    )


def _documents(config: RunConfig, corpus: Corpus, tokenizer: Tokenizer) -> Mapping[str, Sequence[str]]:
    """Return the held-out documents by domain; with 'test', those that 'valid' does not read."""
    split, end = corpus.held_out(config.data.evaluate)
    first = config.training.validation_tokens if end == "test" else 0
    return {
        domain.name: documents_of(corpus.tokens(domain.name, split)[:MOST], corpus.end_of_text, tokenizer, first)
        for domain in corpus.domains
    }
