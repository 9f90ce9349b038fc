"""Looks at a table while seeds are added: each spends a part of the false alarms that are allowed.

Who looks after every seed and stops at the first difference finds one in noise far more often than
in 5 % of tables. Looks that are declared beforehand share the 5 % instead, and a difference found
at any of them stands.
"""

from collections.abc import Sequence

from mta_lab.stats.contrasts import LEVEL


def levels(looks: Sequence[int]) -> tuple[float, ...]:
    """Return the level of each look, given the seeds that each of them has; they add up to `LEVEL`.

    By Bonferroni's inequality the chance of a false alarm at any look is no more than their sum. A
    look's level is in proportion to its seeds plus the first look's, which spends little early,
    when few effects could be seen: 3, 6 and 12 seeds get 0.010, 0.015 and 0.025.
    """
    weights = [seeds + looks[0] for seeds in looks]
    return tuple(LEVEL * weight / sum(weights) for weight in weights)


def adjusted_for_look(p_value: float, level: float) -> float:
    """Return a p-value of a look at `level` on the scale of `LEVEL`, at most 1."""
    return min(p_value * LEVEL / level, 1.0)
