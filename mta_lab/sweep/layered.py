"""The layers of settings around the rows of a sweep, and the configurations that they come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mta_lab.config import (
    Layer,
    RunConfig,
    chain_of,
    command_line,
    difference,
    flatten,
    nested,
    resolve_run,
    scale_layer,
)
from mta_lab.errors import UserError
from mta_lab.sweep.checks import refuse_reserved
from mta_lab.sweep.products import products
from mta_lab.sweep.stages import staged
from mta_lab.sweep.written import RawRow, SweepFile


@dataclass(frozen=True)
class Layers:
    """The layers below and above those of rows, later ones first in rank."""

    below: Sequence[Layer]
    """the scale and the file's `base`"""
    above: Sequence[Layer]
    """the file's `scales.<scale>` and the command line"""

    @classmethod
    def around(cls, file: SweepFile, scale: str, settings: Sequence[str]) -> "Layers":
        """Return the layers around the rows of a file; refuse what belongs to the whole sweep."""
        below, above = [scale_layer(scale), file.base()], [file.at_scale(scale), command_line(settings)]
        refuse_reserved([*below[1:], *above])
        return cls(below, above)

    def without_rows(self) -> RunConfig:
        """Return the configuration of a row that sets nothing."""
        return resolve_run([*self.below, *self.above])

    def config_of(self, raw: RawRow) -> RunConfig:
        """Return the row's configuration: that of its last stage, where it has stages."""
        config = self._without_stages(raw)
        for stage in raw.stages:
            config = staged(config, stage)
        return config

    def _without_stages(self, raw: RawRow) -> RunConfig:
        """Return the configuration of the row's own run.

        `times` multiplies what all layers below the command line come to.
        """
        below, (*written, given) = [*self.below, Layer(raw.where, raw.settings)], self.above
        if not raw.times:
            return resolve_run([*below, *written, given])
        before = flatten(resolve_run([*below, *written]))
        times = Layer(f"{raw.where}: times", products(before, raw.times, raw.where))
        return resolve_run([*below, *written, times, given])

    def changed(self, configs: Mapping[str, RunConfig], raw: Mapping[str, RawRow]) -> dict[str, Any]:
        """Return the flattened settings that the command line, the last layer, changes in a row.

        Where a row is none without it, every setting that it gives is a change.
        """
        *written, given = self.above
        usual = Layers(self.below, [*written, Layer(given.source, {})])
        sections = _sections(given.values)
        tells: dict[str | None, str] = {}  # rows that set nothing in these sections change alike: one tells of all
        for row, values in raw.items():
            tells.setdefault(row if sections & _sections({**values.settings, **values.times}) else None, row)
        found: dict[str, Any] = {}
        try:
            for row in tells.values():  # stages go on from what the command line changes
                found |= difference(chain_of(configs[row])[0], usual._without_stages(raw[row]))
        except UserError:
            return flatten(nested(given.values.items()))
        return found


def _sections(settings: Mapping[str, Any]) -> set[str]:
    """Return the sections that settings, nested or dotted, are of."""
    return {key.partition(".")[0] for key in settings}
