"""Llama 3's tokenizer file: the same ids as tiktoken's, which these samples were recorded with."""

import hashlib
import os
import random
from pathlib import Path

import pytest

from mta_lab.data import tokenizer
from mta_lab.data.tokenizer import read_given
from mta_lab.errors import UserError
from tests.data.imports import tiktoken_lines, write_tokenizer

SAMPLES = {
    "the thing in the": [257, 32, 256, 260, 32, 259, 258],
    " 12345 the": [32, 266, 52, 53, 258],
    "ababab'S\r\n\r\n  x": [262, 261, 39, 83, 13, 10, 13, 10, 32, 32, 120],
    "東京 naïve": [264, 228, 186, 172, 32, 110, 97, 195, 175, 118, 101],
    "<|end_of_text|>": [60, 124, 101, 110, 100, 95, 111, 102, 95, 116, 101, 120, 116, 124, 62],
    "\n\n\n\tthe 123 123123": [267, 10, 9, 257, 32, 266, 32, 266, 266],
}
"""ids of tiktoken 0.14 under the tiny file"""


def ids(given: tokenizer.Given, text: str) -> list[int]:
    return next(tokenizer.encode(given.tokenizer, [text], given.end_of_text))[:-1]


@pytest.mark.parametrize("text", SAMPLES)
def test_ids_are_those_of_tiktoken(text: str, tmp_path: Path) -> None:
    given = read_given(write_tokenizer(tmp_path))
    assert ids(given, text) == SAMPLES[text]
    assert given.tokenizer.decode(SAMPLES[text]) == text


def test_special_tokens_follow_the_ranks_and_are_plain_text_in_documents(tmp_path: Path) -> None:
    given = read_given(write_tokenizer(tmp_path))
    assert given.vocabulary == 268 + 256
    assert [given.tokenizer.id_to_token(268 + n) for n in (0, 1, 2, 9, 12, 255)] == [
        *("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|eot_id|>"),
        *("<|reserved_special_token_2|>", "<|reserved_special_token_245|>"),
    ]
    assert given.end_of_text == 269
    assert max(ids(given, "<|end_of_text|>")) < 268


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\x0a\x0d\x0a\x05<unk>\x15", "tokenizer.model:1: not a line of a tiktoken file"),
        (b"YQ== 0\nYg== x\n", "tokenizer.model:2: not a line of a tiktoken file"),
        (tiktoken_lines([bytes([one]) for one in range(255)]).encode(), "without the 256 single bytes"),
        (tiktoken_lines([bytes([one]) for one in range(256)]).encode() + b"YWI= 300\n", "without a rank each"),
        (b"", "without the 256 single bytes"),
    ],
)
def test_other_files_are_refused(content: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(UserError, match="--tokenizer: ") as refused:
        read_given(tmp_path / "tokenizer.model")
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


LLAMA = os.environ.get("MTA_LAB_LLAMA3_TOKENIZER", "")
"""Llama 3's own file, where somebody has it"""


@pytest.mark.slow
@pytest.mark.skipif(not LLAMA, reason="MTA_LAB_LLAMA3_TOKENIZER names no file")
def test_llama_3s_own_file_has_128256_entries_and_its_ids() -> None:
    given = read_given(Path(LLAMA))
    assert given.vocabulary == 128_256
    assert given.end_of_text == 128_001
    assert ids(given, "Hello world") == [9906, 1917]
    assert ids(given, "8 is 8") == [23, 374, 220, 23]
    assert ids(given, "def f(x):\n    return x") == [755, 282, 2120, 997, 262, 471, 865]
    generator = random.Random(0)
    letters = [chr(n) for n in (*range(32, 127), *range(0xC0, 0x250), *range(0x4E00, 0x4F00), 0x1F600, 10, 9)]
    text = "".join(generator.choices(letters, k=20_000))
    assert hashlib.sha256(repr(ids(given, text)).encode()).hexdigest()[:16] == "f138e6ce5146e4db"
