"""Draw pictures of a finished run: its kernels and head matrices, and its attention on a text."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from mta_lab.pictures.kernel_panels import curve_panel, kernel_panel, matrix_panel
from mta_lab.pictures.kernels import head_matrices, kernels
from mta_lab.pictures.map_panels import choose, head_panel, map_panel
from mta_lab.pictures.maps import attention_maps
from mta_lab.pictures.output import Panel, check_ending, save
from mta_lab.pictures.reading import Reading
from mta_lab.pictures.trained import Trained, norm_of, other_norms
from mta_lab.results.records import Records
from mta_lab.workspace import PICTURES


def kernel_panels(run: Trained, records: Records) -> list[Panel]:
    """Return panels of the run's kernels and head matrices; none where attention has neither."""
    panels = [kernel_panel(drawn)] if (drawn := kernels(run)) else []
    if matrices := head_matrices(run):
        runs = [run, *other_norms(run, records)]
        panels += [matrix_panel(matrices), curve_panel({norm_of(one): head_matrices(one) for one in runs})]
    return panels


def attention_panels(run: Trained, reading: Reading, layer: int | None, head: int | None) -> tuple[list[Panel], str]:
    """Return panels of one head's attention and of all heads, and a line on what they show.

    The line names the head, and tells whether the model answers a synthetic task correctly. Layers
    and heads count from 1; where they are None, the head that attends most clearly is drawn.
    """
    maps, logits_TV = attention_maps(run, reading.tokens)
    chosen = choose(maps, reading, layer, head)
    line = f"layer {chosen.layer}, head {chosen.head} of {reading.text!r}{_answered(reading, logits_TV)}"
    return [map_panel(maps[chosen.layer - 1], chosen.head, reading), head_panel(maps, chosen, reading)], line


def checked(file: Path | None) -> Path | None:
    """Return the file to write.

    Raises:
        UserError: its ending is not one of a known format.
    """
    if file:
        check_ending(file)
    return file


def write_picture(file: Path | None, what: str, run: Trained, panels: Sequence[Panel]) -> Path:
    """Write the panels to `file` and return it; by default a file in results/pictures."""
    file = file or PICTURES / f"{what}-{run.record.fingerprint}.html"
    save(file, run.name, panels)
    return file


def _answered(reading: Reading, logits_TV: Tensor) -> str:
    """Return words on whether the model answers a drawn sequence correctly."""
    if reading.scored is None or reading.answer is None:
        return ""
    right = logits_TV[reading.scored].argmax(-1).equal(reading.answer)
    return ": answered " + ("correctly" if right else "wrongly")
