"""Read tokens back as texts, and count the tokens of texts."""

from collections.abc import Iterator, Sequence

import numpy as np
from tokenizers import Tokenizer

from mta_lab.data.prepared import Corpus
from mta_lab.data.shards import TokenArray


def plain_tokenizer(corpus: Corpus) -> Tokenizer:
    """Return a corpus's tokenizer, to which a special token's name in a text is plain text."""
    tokenizer: Tokenizer = corpus.tokenizer()
    tokenizer.encode_special_tokens = True
    return tokenizer


def token_counts(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """Return the number of tokens of each text."""
    return [len(one.ids) for one in tokenizer.encode_batch_fast([*texts], add_special_tokens=False)]


def documents_of(tokens: TokenArray, end_of_text: int, tokenizer: Tokenizer, first: int = 0) -> list[str]:
    """Return the whole documents that begin at token `first` or later, as texts."""
    pieces = [*_split(tokens, end_of_text, first)]
    return [*map(str, tokenizer.decode_batch(pieces, skip_special_tokens=False))]


def _split(tokens: TokenArray, end_of_text: int, first: int) -> Iterator[list[int]]:
    """Yield the tokens of each document."""
    ends = np.flatnonzero(tokens == end_of_text)
    for start, stop in zip([0, *(ends + 1)], ends, strict=False):
        if start >= first and stop > start:
            yield tokens[start:stop].tolist()
