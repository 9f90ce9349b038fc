"""`mta-lab export`: a finished run as a folder that transformers opens."""

from pathlib import Path
from typing import Annotated

import typer

from mta_lab import lab
from mta_lab.cli.arguments import (
    DEFAULT_SCALE,
    Components,
    RowAndSettings,
    Scale,
    Seed,
    SweepName,
    row_under,
)
from mta_lab.cli.terminal import Terminal


def export(
    name: SweepName,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="a new folder for the model")],
    words: RowAndSettings = None,
    seed: Seed = None,
    scale: Scale = DEFAULT_SCALE,
    components: Components = None,
) -> None:
    """Write a trained run as a model for transformers.

    The folder has weights (safetensors), settings, tokenizer and a card with scores, settings and
    origin. Rows without operations are a plain Llama; others carry their own modelling file, which
    needs no MTA Lab. For example: `mta-lab export NAME ROW --to FOLDER`.
    """
    lab.extras.check_extra("hf", "mta-lab export")
    display, (row, under) = Terminal(), row_under(words, scale, components=components)
    plan = lab.plans.plan(name, under, display)
    done = lab.exporting.export(plan, row, seed, to)
    rounding = f"logits differ by {done.agreement.difference:.1e} at most"
    written = f"{to} is written: {done.model}, {done.parameters:,} parameters; {rounding} from the run's own"
    display.console.print(written, soft_wrap=True)
