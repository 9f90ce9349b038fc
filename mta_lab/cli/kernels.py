"""`mta-lab kernels`: a picture of the kernels and head matrices of a trained run."""

from mta_lab import lab
from mta_lab.cli.arguments import (
    DEFAULT_SCALE,
    Components,
    Output,
    RowAndSettings,
    RunName,
    Scale,
    Seed,
    row_under,
)
from mta_lab.cli.terminal import Terminal


def kernels(
    run: RunName,
    words: RowAndSettings = None,
    seed: Seed = None,
    scale: Scale = DEFAULT_SCALE,
    components: Components = None,
    output: Output = None,
) -> None:
    """Draw the kernels and head matrices of a trained run.

    For example: `mta-lab kernels NAME ROW`.
    """
    file, (row, under) = lab.drawing.checked(output), row_under(words, scale, components=components)
    found, records = lab.trained.find_run(run, row, seed, under, Terminal())
    print(lab.drawing.write_picture(file, "kernels", found, lab.drawing.kernel_panels(found, records)))
