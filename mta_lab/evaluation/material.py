"""Hand text and files to an evaluation, which reads neither by itself."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from tokenizers import Tokenizer

from components.evaluations.questions import Material, TextEvaluation
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.data.shards import TokenArray
from mta_lab.evaluation.files import records_of

MOST = 1 << 24  # held-out tokens of a domain that questions are made of; imported text may have more


def material_of(evaluation: TextEvaluation, config: RunConfig, corpus: Corpus) -> Material:
    """Return what an evaluation of a run makes its questions of.

    Raises:
        UserError: the text has changed, or a file that the evaluation reads is missing or no such
            file.
    """
    tokenizer = corpus.tokenizer()
    tokenizer.encode_special_tokens = True  # a special token's name in a text is plain text
    return Material(
        documents=_documents(config, corpus, tokenizer),
        tokens=lambda texts: _lengths(tokenizer, texts),
        context=evaluation.context or config.model.context,
        records=records_of(evaluation),
    )


def _lengths(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """Return the number of tokens of each text."""
    return [len(one.ids) for one in tokenizer.encode_batch_fast([*texts], add_special_tokens=False)]


def _documents(config: RunConfig, corpus: Corpus, tokenizer: Tokenizer) -> Mapping[str, Sequence[str]]:
    """Return the held-out documents by domain; with 'test', those that 'valid' does not read."""
    found = {}
    split, end = corpus.held_out(config.data.evaluate)
    first = config.training.validation_tokens if end == "test" else 0
    for domain in corpus.domains:
        tokens = corpus.tokens(domain.name, split)[:MOST]
        pieces = [*_split(tokens, corpus.end_of_text, first)]
        found[domain.name] = [*map(str, tokenizer.decode_batch(pieces, skip_special_tokens=False))]
    return found


def _split(tokens: TokenArray, end_of_text: int, first: int) -> Iterator[list[int]]:
    """Yield the tokens of each document that begins at token `first` or later."""
    ends = np.flatnonzero(tokens == end_of_text)
    for start, stop in zip([0, *(ends + 1)], ends, strict=False):
        if start >= first and stop > start:
            yield tokens[start:stop].tolist()
