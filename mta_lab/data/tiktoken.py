r"""Read Llama 3's tokenizer file, in tiktoken's format, as a `tokenizers` object of the same ids.

The file has a line `BASE64 RANK` for each token's bytes. What it lacks is known from Llama 3's
code: the pattern that cuts text into pieces, and 256 special tokens after the ranks.
"""

import base64
import binascii
from collections.abc import Mapping

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from mta_lab.errors import UserError

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = 256  # special tokens of Llama 3, used or reserved
NAMED = {
    0: "begin_of_text",
    1: "end_of_text",
    4: "finetune_right_pad_id",
    5: "step_id",
    6: "start_header_id",
    7: "end_header_id",
    8: "eom_id",
    9: "eot_id",
    10: "python_tag",
    11: "image",
}
"""place among the special tokens -> name; all others are reserved, and numbered in turn"""
Ranks = Mapping[bytes, int]
"""bytes of a token -> its id, which is also the order in which pairs merge: lowest first"""


def ranks(data: bytes, where: str) -> Ranks:
    """Return the ranks in a file's content; `where` names it in messages.

    Raises:
        UserError: it is in another format, or ranks are missing.
    """
    found: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            token, rank = line.split()
            found[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            said = f"{where}:{number}: not a line of a tiktoken file (base64 of a token's bytes, a blank, its rank)"
            raise UserError(f"{said}; for another tokenizer, give its tokenizer.json") from None
    if sorted(found.values()) != list(range(len(found))) or any(bytes([one]) not in found for one in range(256)):
        raise UserError(f"{where}: {len(found):,} tokens without a rank each from 0, or without the 256 single bytes")
    return found


def tokenizer(data: bytes, where: str) -> Tokenizer:
    """Return the tokenizer of a tiktoken file's content, with Llama 3's pattern and special tokens.

    Raises:
        UserError: the content is not that of a tiktoken file.
    """
    known = ranks(data, where)
    letters = _letters()
    spelled = {token: "".join(letters[byte] for byte in token) for token in known}
    vocabulary = {spelled[token]: rank for token, rank in known.items()}
    # tiktoken takes a piece that is a token as it stands, whatever its merges would come to.
    found = Tokenizer(models.BPE(vocab=vocabulary, merges=_merges(known, spelled), ignore_merges=True))
    cut = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    found.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
    found.decoder = decoders.ByteLevel()
    found.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special_tokens()])
    return found


def special_tokens() -> list[str]:
    """Return the names of the 256 special tokens in the order of their ids."""
    reserved = iter(range(SPECIAL))
    return [f"<|{NAMED.get(n) or f'reserved_special_token_{next(reserved)}'}|>" for n in range(SPECIAL)]


def _merges(known: Ranks, spelled: Mapping[bytes, str]) -> list[tuple[str, str]]:
    """Return every pair of tokens that make a token, in the order in which tiktoken merges them."""
    found = []
    for token, rank in known.items():
        parts = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
        found += [(rank, known[a], known[b], a, b) for a, b in parts if a in known and b in known]
    found.sort()
    return [(spelled[a], spelled[b]) for *_, a, b in found]


def _letters() -> list[str]:
    """Return the letter that stands for each byte in a byte-level vocabulary.

    A visible character of Latin-1 stands for itself; the others have letters from U+0100 on.
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return [chr(byte) if byte in visible else chr(next(hidden)) for byte in range(256)]
