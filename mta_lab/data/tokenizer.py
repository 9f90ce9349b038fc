"""Train a byte-level BPE and encode with it; the same text gives the same tokens."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT = "<|endoftext|>"
BATCH = 512  # documents encoded at once


def train(documents: Iterable[str], vocabulary: int) -> Tokenizer:
    """Return a byte-level BPE of `vocabulary` entries, or fewer if the text has no more pairs."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer=trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, documents: Sequence[str], dtype: np.dtype[Any]) -> Iterator[np.ndarray]:
    """Yield token ids, a batch of documents at a time, with the end of text after each document."""
    end = [tokenizer.token_to_id(END_OF_TEXT)]
    tokenizer.encode_special_tokens = True  # a special token's name in a document is plain text
    for start in range(0, len(documents), BATCH):
        encodings = tokenizer.encode_batch_fast(documents[start : start + BATCH], add_special_tokens=False)
        yield np.fromiter(itertools.chain.from_iterable(part for e in encodings for part in (e.ids, end)), dtype)
