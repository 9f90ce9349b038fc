"""Attention at the first step: how much it adds to the embedding, by norm and start.

`python -m tests.components.test_first_step` writes the numbers into docs/reproduces.md.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mta_lab.model import build_model
from tests.shipped import shipped

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reproduces.md"
BLOCK = re.compile(r"(?<=<!-- first step -->\n).*?(?=<!-- end of first step -->)", re.DOTALL)
SEQUENCES = 8


@cache
def first_step() -> Mapping[str, tuple[float, float]]:
    """Return by row the RMS of the embedding and of what the first layer's attention adds to it.

    The rows are those of `norm_at_start`. The text is that of the licence, a byte a token: like all
    text, it has tokens that recur.
    """
    found = {}
    for row in shipped("norm_at_start").rows:
        context = row.config.model.context
        text = (ROOT / "LICENSE").read_bytes()[: SEQUENCES * context]
        tokens_BT = torch.tensor(list(text)).view(SEQUENCES, context)
        model = build_model(row.config, seed=0)
        first = model.blocks[0]
        with torch.no_grad():
            x_BTD = model.embedding(tokens_BT)
            added_BTD = first.attention(first.attention_norm(x_BTD), model.get_buffer("rotary"))
        found[row.name] = rms(x_BTD), rms(added_BTD)
    return found


def rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()


def block(found: Mapping[str, tuple[float, float]]) -> str:
    lines = [f"| {row} | {embedding:.2f} | {added:.2f} |" for row, (embedding, added) in found.items()]
    head = ["| row | RMS of the embedding | RMS that attention adds |", "|:--|--:|--:|"]
    return "\n" + "\n".join([*head, *lines]) + "\n\n"


def test_a_norm_starts_above_the_embedding_and_the_transformer_below_a_norm() -> None:
    found = first_step()
    added = {row: attention for row, (_, attention) in found.items()}
    assert added["plain"] > added["depth"] > added["no norm"]
    assert added["plain"] > 3 * found["plain"][0]
    assert added["plain, weight from 0.2"] == pytest.approx(0.2 * added["plain"], rel=1e-3)
    assert [row for row, attention in added.items() if not attention] == [row for row in added if "zero" in row]


def test_the_page_has_these_numbers() -> None:
    written = BLOCK.search(PAGE.read_text(encoding="utf-8"))
    assert written

    def numbers(text: str) -> list[float]:
        return [float(number) for number in re.findall(r"(?<=\| )\d\.\d\d(?= \|)", text)]

    assert numbers(written[0]) == pytest.approx(numbers(block(first_step())), abs=0.011), "rounding of the last digit"
    names = re.findall(r"^\| ([^|]+) \|", written[0], re.MULTILINE)
    assert names == ["row", *first_step()], "`python -m tests.components.test_first_step` writes them anew"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda _: block(first_step()), page), encoding="utf-8")
