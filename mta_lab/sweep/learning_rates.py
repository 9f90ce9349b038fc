"""The same rows at other learning rates: does a ranking hold, or did one rate suit one row?"""

from collections.abc import Sequence
from dataclasses import replace

from mta_lab.sweep.rows import Row, Sweep

FACTORS = {"x1/2": 0.5, "x1": 1.0, "x2": 2.0}


def at_rate(row: str, factor: str) -> str:
    """Return the name of `row` at one of FACTORS."""
    return f"{row}, lr {factor}"


def over_learning_rates(sweep: Sweep, rows: Sequence[str]) -> Sweep:
    """Return the sweep's baseline and `rows` at each of FACTORS.

    Each is compared with the baseline at the same rate.
    """
    chosen = [row for row in sweep.rows if row.name in (sweep.baseline, *rows)]
    return replace(
        sweep,
        name=f"{sweep.name}-lr",
        title=f"{sweep.title}: learning rates",
        about="The baseline and the best rows at half, once and twice the learning rate.",
        baseline=at_rate(sweep.baseline, "x1"),
        search=None,
        rows=tuple(_at(row, factor, sweep.baseline) for factor in FACTORS for row in chosen),
    )


def _at(row: Row, factor: str, baseline: str) -> Row:
    rate = row.config.training.learning_rate * FACTORS[factor]
    training = replace(row.config.training, learning_rate=rate)
    return Row(
        name=at_rate(row.name, factor),
        config=replace(row.config, training=training),
        baseline=at_rate(baseline, factor),
        difference=row.difference,
        published={},
        references=(),
    )
