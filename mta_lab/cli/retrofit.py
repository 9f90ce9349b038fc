"""`mta-lab retrofit`: a pretrained Llama with operations inserted."""

from pathlib import Path
from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli.terminal import Terminal

USUAL = "{name: multi_token, norm: none}"


def retrofit(
    source: Annotated[
        str, typer.Argument(help="a folder of a Llama, a .gguf file, or smollm2, which a package carries (93 MB)")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="a new folder for the model")],
    attention: Annotated[
        str, typer.Option(metavar="YAML", help="the operations, as in a sweep; softmax: the Llama as it is")
    ] = USUAL,
) -> None:
    """Insert operations into a pretrained Llama.

    It computes what it did before.

    The folder opens in Hugging Face's transformers. All operations start as the identity, so the
    logits are those of before to the bit; a norm, or another start, is refused.
    """
    lab.extras.check_extra("hf", "mta-lab retrofit")
    display = Terminal()
    done = lab.retrofitting.retrofit(source, attention, to, display)
    counts = f"{done.parameters:,} parameters, {done.new:,} of them new"
    written = f"{to} is written: {done.model}, {counts}; logits equal to the bit"
    display.console.print(written, soft_wrap=True)
