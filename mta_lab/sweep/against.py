"""The row that each row of a sweep is compared with."""

from collections.abc import Mapping

from mta_lab.config import RunConfig
from mta_lab.errors import UserError, nearest
from mta_lab.sweep.checks import reads
from mta_lab.sweep.written import RawRow
from mta_lab.words import named


def baselines(
    raw: Mapping[str, RawRow], configs: Mapping[str, RunConfig], usual: str, left_out: Mapping[str, str], source: str
) -> dict[str, str]:
    """Return the baseline of each row: the one that it names, or else the sweep's.

    A row that others name is compared with the sweep's baseline all the same, unless the two read
    other text or tasks.
    """
    named = {
        row: known_row(values.against, raw, left_out, f"{values.where}: against")
        for row, values in raw.items()
        if values.against
    }
    apart = {row for row in named.values() if reads(configs[row]) != reads(configs[usual])}
    found = {row: named.get(row, row if row in apart else usual) for row in raw}
    for row in found:
        last_baseline(row, found, source)
    return found


def last_baseline(row: str, against: Mapping[str, str], source: str) -> str:
    """Return the row with which `row` is finally compared: its baseline's baseline, and so on.

    Raises UserError for a circle.
    """
    passed = [row]
    while (baseline := against[passed[-1]]) != passed[-1]:
        if baseline in passed:
            circle = "' against '".join([*passed, baseline])
            raise UserError(f"{source}: rows.{row}: against: goes round in a circle: '{circle}'")
        passed.append(baseline)
    return passed[-1]


def known_row(name: str, raw: Mapping[str, RawRow], left_out: Mapping[str, str], where: str) -> str:
    """Return the name of a row that stands; raise UserError for any other."""
    if name in left_out:
        raise UserError(f"{where}: row '{name}' is left out: {left_out[name]}; name a row that stands")
    if name not in raw:
        raise UserError(f"{where}: no row named '{name}'{nearest(name, raw) or ';'} rows: {named(raw)}")
    return name
