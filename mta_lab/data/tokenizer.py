"""Make a tokenizer of a text, or read a user's, and encode with either: always the same ids."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mta_lab import strict
from mta_lab.data import tiktoken
from mta_lab.data.shards import TokenizerFile
from mta_lab.errors import UserError, described

END_OF_TEXT = "<|endoftext|>"
ENDS = ("<|end_of_text|>", END_OF_TEXT, "</s>", "<eos>")  # what others call it
BATCH = 512  # documents encoded at once
SMALLEST_VOCABULARY = 257  # 256 bytes and the end of text
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A tokenizer that was made of a text."""

    kind: str
    """in words"""
    tokenizer: Tokenizer
    vocabulary: int
    """all ids are below it"""
    sha256: str = ""
    """of the file that it was given in: none"""

    @property
    def end_of_text(self) -> int:
        """Return the id of the token that follows every document."""
        return self.tokenizer.get_vocab()[END_OF_TEXT]


def make(kind: str, documents: Iterable[str], vocabulary: int, say: Say) -> Made:
    """Return a tokenizer of a kind of `data.tokenizer`: 'bpe', 'bytes' or 'characters'.

    It has `vocabulary` entries, or fewer if the text has no more.
    """
    if kind == "bytes":
        return Made(kind="bytes", tokenizer=train((), SMALLEST_VOCABULARY), vocabulary=SMALLEST_VOCABULARY)
    say(f"training a tokenizer of {vocabulary} entries")
    if kind == "characters":
        found = Made(kind="characters of this text", tokenizer=characters(documents, vocabulary), vocabulary=vocabulary)
    else:
        found = Made(kind="trained on this text", tokenizer=train(documents, vocabulary), vocabulary=vocabulary)
    if (entries := found.tokenizer.get_vocab_size()) < vocabulary:
        of = "characters" if kind == "characters" else "pairs"
        say(f"the text has {of} for {entries} entries only; the other ids are not used")
    return found


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


def characters(documents: Iterable[str], vocabulary: int) -> Tokenizer:
    """Return a tokenizer of the most frequent characters; all others are spelled as their bytes."""
    counts = Counter[str]()
    for document in documents:
        counts.update(document)
    frequent = sorted(counts, key=lambda one: (-counts[one], one))[: vocabulary - SMALLEST_VOCABULARY]
    # The names of bytes are those that `byte_fallback` asks for.
    entries = [END_OF_TEXT, *(f"<0x{byte:02X}>" for byte in range(256)), *frequent]
    ids = {entry: number for number, entry in enumerate(entries)}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer


def encode(tokenizer: Tokenizer, documents: Sequence[str], end_of_text: int) -> Iterator[list[int]]:
    """Yield the token ids of each document, with the end of text after them."""
    tokenizer.encode_special_tokens = True  # a special token's name in a document is plain text
    for start in range(0, len(documents), BATCH):
        for encoding in tokenizer.encode_batch_fast(documents[start : start + BATCH], add_special_tokens=False):
            yield [*encoding.ids, end_of_text]


@dataclass(frozen=True, kw_only=True)
class Given:
    """A tokenizer that a user gave as a file."""

    file: TokenizerFile
    tokenizer: Tokenizer
    end_of_text: int

    @property
    def kind(self) -> str:
        """Return the tokenizer in words."""
        return str(self.file)

    @property
    def sha256(self) -> str:
        """Return the hash of the file."""
        return self.file.sha256

    @property
    def vocabulary(self) -> int:
        """Return the number of entries, special ones too."""
        return max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1


def read_given(path: Path, end_of_text: str | None = None, said: str = "--tokenizer") -> Given:
    """Return the tokenizer of a tokenizer.json, or of Llama 3's tokenizer.model.

    Args:
        path: the file.
        end_of_text: the token that follows every document; None for the first of ENDS it has.
        said: where the path was given, as messages begin.

    Raises:
        UserError: the file cannot be read, holds no tokenizer, or none with such a token.
    """
    try:
        data = strict.content(path)
    except (OSError, strict.FaultError) as error:
        raise UserError(f"{said}: {path} cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        found = Tokenizer.from_buffer(data) if path.suffix == ".json" else tiktoken.tokenizer(data, str(path))
    except UserError as error:
        raise UserError(f"{said}: {error}") from None
    except Exception as error:  # the library raises plain Exception
        raise UserError(f"{said}: {path} is no tokenizer.json ({described(error)})") from None
    found.no_truncation()
    found.no_padding()
    ends = [end_of_text] if end_of_text else ENDS
    ids = [number for end in ends if (number := found.token_to_id(end)) is not None]
    if not ids:
        typed = "" if said == "--tokenizer" else "import the text with `mta-lab data import`, and there "
        lacks = f"{path} has no token {' or '.join(ends)}"
        raise UserError(f"--end-of-text: {lacks}; {typed}name the one that ends a document")
    file = TokenizerFile(file=path.name, sha256=hashlib.sha256(data).hexdigest(), kept="")
    return Given(file=file, tokenizer=found, end_of_text=ids[0])
