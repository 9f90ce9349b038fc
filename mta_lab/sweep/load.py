"""Reads a sweep file: layers of settings become rows, and unfair comparisons are refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from components.evaluations import TextEvaluation
from mta_lab.config import (
    Layer,
    RunConfig,
    chain_of,
    command_line,
    difference,
    differing,
    flatten,
    nested,
    parent_of,
    resolve,
    scale_layer,
    started_from,
)
from mta_lab.errors import UserError, nearest
from mta_lab.results.failures import read_retry
from mta_lab.sweep.checks import (
    reads,
    refuse_incomparable,
    refuse_reserved,
    refuse_taken_names,
    refuse_unasked,
    refuse_undeclared,
    settings_of,
)
from mta_lab.sweep.generate import GENERATORS, with_parts
from mta_lab.sweep.ledger import published
from mta_lab.sweep.naming import is_shipped, sweep_name
from mta_lab.sweep.placeholders import filled
from mta_lab.sweep.products import products
from mta_lab.sweep.rows import Row, Sweep
from mta_lab.sweep.search import Search, Template, Winners, read_search
from mta_lab.sweep.stages import refuse_beside, staged
from mta_lab.sweep.tune import begun, read_tune
from mta_lab.sweep.written import RawRow, SweepFile, read_sweep
from mta_lab.words import named

Settle = Callable[[RunConfig, RunConfig], RunConfig]


def load_sweep(
    name: str,
    *,
    scale: str,
    settings: Sequence[str] = (),
    seeds: int | None = None,
    resolve_auto: Settle = lambda config, baseline: config,
    winners: Winners | None = None,
) -> Sweep:
    """Read a shipped sweep, or the file of that path, at `scale`, under `settings`.

    Layers, later ones first in rank: scale, `base`, row, `scales.<scale>`, command line.
    `resolve_auto` gets a row's configuration and its baseline's and returns what the row runs with,
    where a setting leaves that open (`training.precision: auto`). `winners` are the values that a
    search found, by row and best first. Every mistake in the file is a UserError that names it and
    the key. The components that the file names are loaded first.
    """
    file = read_sweep(name)
    components = file.components()
    below, above = [scale_layer(scale), file.base()], [file.at_scale(scale), command_line(settings)]
    refuse_reserved([*below[1:], *above])
    rows = file.rows(_written_or_generated(file, below, above))
    standing, left_out = _standing(rows, below, above)
    baseline = _known_row(file.text("baseline", next(iter(rows))), standing, left_out, f"{file.source}: baseline")
    for key in {"search", "tune"} & file.values.keys():
        refuse_beside({row: values.stages for row, values in rows.items()}, key, file.source)
    evaluations, search = file.evaluations(scale), _search(file, standing, below, above)
    raw = _with_winners(standing, search, winners or {}, file.source) if search else standing
    configs = {row: _config(raw[row], below, above) for row in raw}
    changed = _changed(configs, raw, below, above) if settings else {}
    against = _baselines(raw, configs, baseline, left_out, file.source)
    if search:
        stay = [*(row for row in standing if row not in search.templates), *against.values()]
        configs, twins = _without_twins(configs, stay)
        left_out |= twins
    configs = {
        row: _settled(config, configs[_last_baseline(row, against, file.source)], resolve_auto)
        for row, config in configs.items()
    }
    refuse_incomparable(configs, against, file.source)
    refuse_unasked(configs if evaluations else {}, file.source)
    settled = {row: flatten(config) for row, config in configs.items()}
    sweep = Sweep(
        name=sweep_name(file.path),
        title=_one_line(file.text("title", file.path.stem)),
        about=file.text("about", "").strip(),
        scale=scale,
        baseline=baseline,
        rows=tuple(_row(row, raw, configs[row], settled, against[row], evaluations, file.source) for row in configs),
        evaluations=evaluations,
        seeds=tuple(range(file.seeds(scale, seeds))),
        looks=file.looks(scale),
        equal_within=file.equal_within(),
        retry=read_retry(file.values.get("retry"), f"{file.source}: retry"),
        search=search,
        winners=winners or {},
        left_out=left_out,
        components=components,
        settings=changed,
        file=None if is_shipped(file.path) else file.path,
    )
    refuse_taken_names(sweep, file.source)
    return _with_tuning(sweep, file)


def _written_or_generated(file: SweepFile, below: Sequence[Layer], above: Sequence[Layer]) -> Any:
    rows = file.values.get("rows")
    if not isinstance(rows, str):
        return rows
    if rows not in GENERATORS:
        hint = nearest(rows, GENERATORS) or ";"
        raise UserError(f"{file.source}: rows: got '{rows}'{hint} allowed: a mapping, or {', '.join(GENERATORS)}")
    full = resolve([*below, *above]).attention
    if not full.removals() and not full.additions():
        raise UserError(
            f"{file.source}: base: attention: got '{full.name}', which has no parts to remove or add, "
            f"allowed where rows is '{rows}': {', '.join(with_parts())}"
        )
    return GENERATORS[rows](full)


def _standing(
    rows: Mapping[str, RawRow], below: Sequence[Layer], above: Sequence[Layer]
) -> tuple[dict[str, RawRow], dict[str, str]]:
    """Return the rows whose condition holds, and why each of the others is left out."""
    reasons = {row: _missing(raw, below, above) for row, raw in rows.items() if raw.condition}
    left_out = {row: reason for row, reason in reasons.items() if reason}
    return {row: raw for row, raw in rows.items() if row not in left_out}, left_out


def _missing(raw: RawRow, below: Sequence[Layer], above: Sequence[Layer]) -> str:
    """Return why a row is left out, an empty text where its condition holds.

    A condition on settings that the row leaves as they are is decided without the row, which may be
    impossible where it does not hold: a kernel on layer 12 of 4.
    """
    condition = raw.condition
    assert condition
    if not condition.reads(settings_of(raw.settings) | raw.times.keys()) and (
        missing := condition.missing(resolve([*below, *above]))
    ):
        return missing
    return condition.missing(_config(raw, below, above))


def _search(
    file: SweepFile, raw: Mapping[str, RawRow], below: Sequence[Layer], above: Sequence[Layer]
) -> Search | None:
    if "search" not in file.values:
        return None

    def template(row: str) -> Template:
        def build(settings: Mapping[str, Any], times: Mapping[str, Any]) -> RunConfig:
            return _config(replace(raw[row], settings=settings, times=times), below, above)

        return Template(raw[row].settings, raw[row].times, build)

    return read_search(file.values["search"], {row: template(row) for row in raw}, file.source)


def _with_winners(raw: Mapping[str, RawRow], search: Search, winners: Winners, source: str) -> dict[str, RawRow]:
    """Return the rows, templates at the values that won; each further winner is another row."""
    found = {}
    for row, values in raw.items():
        if row not in search.templates:
            found[row] = values
            continue
        best = winners[row].values if row in winners else []
        for rank, chosen in enumerate(best or [search.first_values(row)], start=1):
            name = row if rank == 1 else f"{row} #{rank}"
            if name != row and name in raw:
                raise UserError(f"{source}: rows.{name}: the name is kept for winner {rank} of '{row}'; choose another")
            found[name] = replace(values, settings=filled(values.settings, chosen), times=filled(values.times, chosen))
    return found


def _without_twins(
    configs: Mapping[str, RunConfig], stay: Sequence[str]
) -> tuple[dict[str, RunConfig], dict[str, str]]:
    """Return the rows, scored on what their search has never seen, and why others are left out.

    A search may give a row the settings of another; it is then left out, unless `stay` names it.
    """
    first = {configs[row]: row for row in reversed(stay)}
    for row, config in configs.items():
        first.setdefault(config, row)
    twins = {row: first[config] for row, config in configs.items() if row not in stay and first[config] != row}
    return (
        {row: _on_test(config) for row, config in configs.items() if row not in twins},
        {row: f"its search found the settings that row '{twin}' has" for row, twin in twins.items()},
    )


def _with_tuning(sweep: Sweep, file: SweepFile) -> Sweep:
    """Return the sweep with its tuning before any run of it, if the file tunes at this scale."""
    tune = read_tune(file.values.get("tune"), sweep.scale, file.source)
    if tune is None:
        return sweep
    if sweep.search:
        raise UserError(f"{file.source}: tune: a search chooses the values of its rows; leave one of the two out")
    return replace(sweep, tuning=begun(tune, sweep.rows, sweep.settings, file.source))


def _on_test(config: RunConfig) -> RunConfig:
    """Return the run scored on what its search has never seen."""
    return replace(config, data=replace(config.data, evaluate="test"))


def _row(
    name: str,
    raw: Mapping[str, RawRow],
    config: RunConfig,
    settled: Mapping[str, Mapping[str, Any]],
    baseline: str,
    evaluations: Sequence[TextEvaluation],
    source: str,
) -> Row:
    """Return the row; raise UserError for an undeclared difference from its baseline.

    `settled` has the flattened settings of each row.
    """
    where, given = f"{source}: rows.{name}", raw[name].published
    metric = evaluations[0].metric if evaluations else config.task.metric
    values, references = ({}, ()) if given is None else published(given, metric, where)
    differs = differing(settled[name], settled[baseline])
    both = raw[name], raw[baseline]
    declared = [part for row in both for part in (row.settings, row.times, *(one.declared for one in row.stages))]
    refuse_undeclared(differs, settled[baseline], declared, where, baseline)
    return Row(
        name=name,
        config=config,
        baseline=baseline,
        difference=differs,
        published=values,
        references=references,
        sets=frozenset(settings_of(raw[name].settings)).union(*(stage.sets for stage in raw[name].stages)),
        stages=tuple(stage.name for stage in raw[name].stages),
    )


def _settled(config: RunConfig, like: RunConfig, resolve_auto: Settle) -> RunConfig:
    """Return the run with what each run of its chain leaves open decided as for that of `like`."""
    parent = parent_of(config)
    if parent:
        config = started_from(_settled(parent, parent_of(like) or like, resolve_auto), config)
    return resolve_auto(config, like)


def _config(raw: RawRow, below: Sequence[Layer], above: Sequence[Layer]) -> RunConfig:
    """Return the row's configuration: that of its last stage, where it has stages."""
    config = _without_stages(raw, below, above)
    for stage in raw.stages:
        config = staged(config, stage)
    return config


def _without_stages(raw: RawRow, below: Sequence[Layer], above: Sequence[Layer]) -> RunConfig:
    """Return the configuration of the row's own run.

    `times` multiplies what all layers below the command line come to.
    """
    where, row_layer = raw.where, Layer(raw.where, raw.settings)
    if not raw.times:
        return resolve([*below, row_layer, *above])
    before = flatten(resolve([*below, row_layer, *above[:-1]]))
    times = Layer(f"{where}: times", products(before, raw.times, where))
    return resolve([*below, row_layer, *above[:-1], times, above[-1]])


def _changed(
    configs: Mapping[str, RunConfig],
    raw: Mapping[str, RawRow],
    below: Sequence[Layer],
    above: Sequence[Layer],
) -> dict[str, Any]:
    """Return the flattened settings that the command line, the last layer, changes in a row.

    Where a row is none without it, every setting that it gives is a change.
    """
    *written, given = above
    sections = _sections(given.values)
    tells: dict[str | None, str] = {}  # rows that set nothing in these sections change alike: one tells of all
    for row, values in raw.items():
        tells.setdefault(row if sections & _sections({**values.settings, **values.times}) else None, row)
    found: dict[str, Any] = {}
    try:
        for row in tells.values():  # stages go on from what the command line changes
            usual = _without_stages(raw[row], below, [*written, Layer(given.source, {})])
            found |= difference(chain_of(configs[row])[0], usual)
    except UserError:
        return flatten(nested(given.values.items()))
    return found


def _sections(settings: Mapping[str, Any]) -> set[str]:
    """Return the sections that settings, nested or dotted, are of."""
    return {key.partition(".")[0] for key in settings}


def _baselines(
    raw: Mapping[str, RawRow], configs: Mapping[str, RunConfig], usual: str, left_out: Mapping[str, str], source: str
) -> dict[str, str]:
    """Return the baseline of each row: the one that it names, or else the sweep's.

    A row that others name is compared with the sweep's baseline all the same, unless the two read
    other text or tasks.
    """
    named = {
        row: _known_row(values.against, raw, left_out, f"{values.where}: against")
        for row, values in raw.items()
        if values.against
    }
    apart = {row for row in named.values() if reads(configs[row]) != reads(configs[usual])}
    found = {row: named.get(row, row if row in apart else usual) for row in raw}
    for row in found:
        _last_baseline(row, found, source)
    return found


def _last_baseline(row: str, against: Mapping[str, str], source: str) -> str:
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


def _known_row(name: str, raw: Mapping[str, RawRow], left_out: Mapping[str, str], where: str) -> str:
    if name in left_out:
        raise UserError(f"{where}: row '{name}' is left out: {left_out[name]}; name a row that stands")
    if name not in raw:
        raise UserError(f"{where}: no row named '{name}'{nearest(name, raw) or ';'} rows: {named(raw)}")
    return name


def _one_line(title: str) -> str:
    """Return a title that a terminal and a heading can take: no line breaks, no controls."""
    return "".join(letter for letter in " ".join(title.split()) if letter.isprintable())
