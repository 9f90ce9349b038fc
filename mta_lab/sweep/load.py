"""Reads a sweep file: layers of settings become rows, and unfair comparisons are refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.evaluations import TextEvaluation
from mta_lab.config import RunConfig, differing, flatten, parent_of, started_from
from mta_lab.errors import UserError, nearest
from mta_lab.results.failures import read_retry
from mta_lab.sweep.against import baselines, known_row, last_baseline
from mta_lab.sweep.checks import (
    refuse_incomparable,
    refuse_same_runs,
    refuse_taken_names,
    refuse_unasked,
    refuse_undeclared,
)
from mta_lab.sweep.generate import GENERATORS, with_parts
from mta_lab.sweep.layered import Layers
from mta_lab.sweep.ledger import published
from mta_lab.sweep.naming import is_shipped, sweep_name
from mta_lab.sweep.placeholders import filled
from mta_lab.sweep.rows import Row, Sweep
from mta_lab.sweep.search import Search, Template, Winners, read_search
from mta_lab.sweep.stages import refuse_beside
from mta_lab.sweep.tune import begun, read_tune
from mta_lab.sweep.written import RawRow, SweepFile, read_sweep

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
    layers = Layers.around(file, scale, settings)
    rows = file.rows(_written_or_generated(file, layers))
    standing, left_out = _standing(rows, layers)
    baseline = known_row(file.text("baseline", next(iter(rows))), standing, left_out, f"{file.source}: baseline")
    for key in {"search", "tune"} & file.values.keys():
        refuse_beside({row: values.stages for row, values in rows.items()}, key, file.source)
    evaluations, search = file.evaluations(scale), _search(file, standing, layers)
    raw = _with_winners(standing, search, winners or {}, file.source) if search else standing
    configs = {row: layers.config_of(values) for row, values in raw.items()}
    changed = layers.changed(configs, raw) if settings else {}
    against = baselines(raw, configs, baseline, left_out, file.source)
    if search:
        stay = [*(row for row in standing if row not in search.templates), *against.values()]
        configs, twins = _without_twins(configs, stay)
        left_out |= twins
    sweep = Sweep(
        name=sweep_name(file.path),
        title=_one_line(file.text("title", file.path.stem)),
        about=file.text("about", "").strip(),
        scale=scale,
        baseline=baseline,
        rows=_rows(configs, raw, against, resolve_auto, evaluations, file.source),
        evaluations=evaluations,
        seeds=file.seeds(scale, seeds),
        names_seeds=isinstance(file.values.get("seeds"), list),
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
    refuse_same_runs(sweep, file.source)
    return _with_tuning(sweep, file)


def _written_or_generated(file: SweepFile, layers: Layers) -> Any:
    rows = file.values.get("rows")
    if not isinstance(rows, str):
        return rows
    if rows not in GENERATORS:
        hint = nearest(rows, GENERATORS) or ";"
        raise UserError(f"{file.source}: rows: got '{rows}'{hint} allowed: a mapping, or {', '.join(GENERATORS)}")
    base = layers.without_rows()
    made = GENERATORS[rows](base)
    if not made:
        raise UserError(
            f"{file.source}: base: attention: got '{base.attention.name}', which has no parts to remove or add, "
            f"allowed where rows is '{rows}': {', '.join(with_parts())}; "
            "or a component of model or training that is not the default, such as training.optimizer"
        )
    return made


def _standing(rows: Mapping[str, RawRow], layers: Layers) -> tuple[dict[str, RawRow], dict[str, str]]:
    """Return the rows whose condition holds, and why each of the others is left out."""
    reasons = {row: _missing(raw, layers) for row, raw in rows.items() if raw.condition}
    left_out = {row: reason for row, reason in reasons.items() if reason}
    return {row: raw for row, raw in rows.items() if row not in left_out}, left_out


def _missing(raw: RawRow, layers: Layers) -> str:
    """Return why a row is left out, an empty text where its condition holds.

    A condition on settings that the row leaves as they are is decided without the row, which may be
    impossible where it does not hold: a kernel on layer 12 of 4.
    """
    condition = raw.condition
    assert condition
    if not condition.reads(raw.sets) and (missing := condition.missing(layers.without_rows())):
        return missing
    return condition.missing(layers.config_of(raw))


def _search(file: SweepFile, raw: Mapping[str, RawRow], layers: Layers) -> Search | None:
    if "search" not in file.values:
        return None

    def template(row: str) -> Template:
        def build(settings: Mapping[str, Any], times: Mapping[str, Any]) -> RunConfig:
            return layers.config_of(replace(raw[row], settings=settings, times=times))

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


def _rows(
    configs: Mapping[str, RunConfig],
    raw: Mapping[str, RawRow],
    against: Mapping[str, str],
    resolve_auto: Settle,
    evaluations: Sequence[TextEvaluation],
    source: str,
) -> tuple[Row, ...]:
    """Return the rows with what they leave open decided; refuse those that would mislead."""
    configs = {
        row: _settled(config, configs[last_baseline(row, against, source)], resolve_auto)
        for row, config in configs.items()
    }
    refuse_incomparable(configs, against, source)
    refuse_unasked(configs if evaluations else {}, source)
    flat = {row: flatten(config) for row, config in configs.items()}
    return tuple(_row(row, raw, configs[row], flat, against[row], evaluations, source) for row in configs)


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
    values, references = ({}, ()) if given is None else published(given, metric, where, Path(source).parent)
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
        sets=raw[name].sets,
        stages=tuple(stage.name for stage in raw[name].stages),
    )


def _settled(config: RunConfig, like: RunConfig, resolve_auto: Settle) -> RunConfig:
    """Return the run with what each run of its chain leaves open decided as for that of `like`."""
    parent = parent_of(config)
    if parent:
        config = started_from(_settled(parent, parent_of(like) or like, resolve_auto), config)
    return resolve_auto(config, like)


def _one_line(title: str) -> str:
    """Return a title that a terminal and a heading can take: no line breaks, no controls."""
    return "".join(letter for letter in " ".join(title.split()) if letter.isprintable())
