"""`kernels` and `attend`, pictures of a finished run: their grammar and what they call."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mta_lab.cli import completion
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale

if TYPE_CHECKING:
    from torch import Tensor

    from mta_lab.pictures.output import Panel
    from mta_lab.pictures.reading import Reading
    from mta_lab.pictures.trained import Trained

RunName = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE|FINGERPRINT",
        help="a sweep, `train`, or one run: its fingerprint (the start is enough), or its record in results/runs",
        autocompletion=completion.sweeps,
    ),
]
RowAndSettings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ROW] [KEY=VALUE]...",
        help="the sweep's row, and the settings that it (or `train`) was run with",
        autocompletion=completion.rows,
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, help="one of the row's seeds; default: the first")]
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="a file that ends in .html, .png, .pdf or .svg; default: one in results/pictures"
    ),
]


def kernels(
    run: RunName,
    words: RowAndSettings = None,
    seed: Seed = None,
    scale: Scale = DEFAULT_SCALE,
    components: Components = None,
    output: Output = None,
) -> None:
    """Draw the kernels and head matrices of a trained run. For example: `mta-lab kernels NAME ROW`."""
    from mta_lab.cli.runs import find_run
    from mta_lab.pictures.kernel_panels import curve_panel, kernel_panel, matrix_panel
    from mta_lab.pictures.kernels import head_matrices
    from mta_lab.pictures.kernels import kernels as kernels_of
    from mta_lab.pictures.trained import norm_of, other_norms

    file = _checked(output)
    found, records = find_run(run, words or [], seed, scale, components or [])
    panels = [kernel_panel(drawn)] if (drawn := kernels_of(found)) else []
    if matrices := head_matrices(found):
        runs = [found, *other_norms(found, records)]
        curves = {norm_of(one): head_matrices(one) for one in runs}
        panels += [matrix_panel(matrices), curve_panel(curves)]
    _save(file, "kernels", found, panels)


def attend(
    run: RunName,
    words: RowAndSettings = None,
    text: Annotated[
        str | None, typer.Option(help="what the model reads; a synthetic run draws a sequence where there is none")
    ] = None,
    layer: Annotated[int | None, typer.Option(min=1, help="layer, counted from 1; default: the most telling")] = None,
    head: Annotated[int | None, typer.Option(min=1, help="head, counted from 1; default: the most telling")] = None,
    seed: Seed = None,
    scale: Scale = DEFAULT_SCALE,
    components: Components = None,
    output: Output = None,
) -> None:
    """Draw the attention of a trained run on a text. Before and after its operations: `mta-lab attend NAME ROW`."""
    from mta_lab.cli.runs import find_run, reading_for
    from mta_lab.pictures.map_panels import choose, head_panel, map_panel
    from mta_lab.pictures.maps import attention_maps

    file = _checked(output)
    found, _ = find_run(run, words or [], seed, scale, components or [])
    reading = reading_for(found, text)
    maps, logits_TV = attention_maps(found, reading.tokens)
    chosen = choose(maps, reading, layer, head)
    print(f"layer {chosen.layer}, head {chosen.head} of {reading.text!r}{_answered(reading, logits_TV)}")
    panels = [map_panel(maps[chosen.layer - 1], chosen.head, reading), head_panel(maps, chosen, reading)]
    _save(file, "attend", found, panels)


def _answered(reading: "Reading", logits_TV: "Tensor") -> str:
    """Return words on whether the model answers a drawn sequence rightly."""
    if reading.scored is None or reading.answer is None:
        return ""
    right = logits_TV[reading.scored].argmax(-1).equal(reading.answer)
    return ": answered " + ("rightly" if right else "wrongly")


def _checked(output: Path | None) -> Path | None:
    """The file to write, its ending known; None is the usual one."""
    from mta_lab.pictures.output import check_ending

    if output:
        check_ending(output)
    return output


def _save(file: Path | None, what: str, run: "Trained", panels: "list[Panel]") -> None:
    """Write the picture and say where it is."""
    from mta_lab.pictures.output import save
    from mta_lab.results.records import RESULTS

    file = file or RESULTS / "pictures" / f"{what}-{run.record.fingerprint}.html"
    save(file, run.name, panels)
    print(file)
