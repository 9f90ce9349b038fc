"""Make plans: of one sweep, of the one run of `train`, of every sweep that is known here."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mta_lab.config import RunConfig, command_line, difference, resolve_run, scale_layer
from mta_lab.devices.known import Device
from mta_lab.errors import UserError
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.own_sweeps import remember, remembered
from mta_lab.lab.plan import Plan, open_records, resolved_auto
from mta_lab.lab.searches import open_existing
from mta_lab.lab.tuning import open_tuned
from mta_lab.planning.by_arithmetic import resolved_on
from mta_lab.plugins import load_components
from mta_lab.sweep import Sweep, load_sweep, shipped_sweeps, single_run
from mta_lab.sweep.naming import called_as_shipped
from mta_lab.sweep.search import Winners


def plan(name: str, conditions: Conditions, display: Display, device: Device | None = None) -> Plan:
    """Return the plan of the shipped sweep `name`, or of the sweep file at that path.

    Precision `auto` is what this machine computes faster or, by its description, the `device`.

    Raises:
        UserError: the sweep or a condition has a mistake; nothing has been started then.
    """
    found = _plan(name, conditions, display, device)
    _refuse_unread_text(found)
    return found


def _plan(name: str, conditions: Conditions, display: Display, device: Device | None = None) -> Plan:
    """Return the plan of a sweep, which may be one of many under the same settings."""
    load_components(conditions.components)
    scale, seeds = conditions.scale, conditions.seeds

    def resolve_auto(config: RunConfig, like: RunConfig) -> RunConfig:
        return resolved_on(device, config) if device else resolved_auto(config, like, display)

    def load(winners: Winners) -> Sweep:
        return load_sweep(
            name,
            scale=scale,
            settings=conditions.settings,
            seeds=seeds,
            resolve_auto=resolve_auto,
            winners=winners,
        )

    def under(other: str, words: Sequence[str]) -> tuple[Sweep, str]:
        shown = replace(conditions, scale=other, settings=words).typed("report", name)
        return load_sweep(name, scale=other, settings=words, seeds=seeds), shown

    sweep = load({})
    _say_which(name, sweep, display)
    found = Plan(
        given=name,
        sweep=sweep,
        records=open_records(display),
        display=display,
        components=conditions.components,
        command=conditions.typed("sweep", name),
        retry=conditions.typed("retry", name),
        report=conditions.typed("report", name),
        under=under,
        reload=load,
    )
    return open_tuned(open_existing(found))


def every_stage(plan: Plan) -> Plan:
    """Return the plan with each stage as a row, for a table of them.

    It has a name of its own: its page and its looks are not those of the table without.
    """
    return replace(plan, sweep=replace(plan.sweep.staged, name=f"{plan.sweep.name}-stages"))


def plan_of_one(conditions: Conditions, display: Display) -> Plan:
    """Return the plan of `mta-lab train`: a sweep of one run."""
    load_components(conditions.components)
    config = resolve_run([scale_layer(conditions.scale), command_line(conditions.settings)])
    changed = difference(config, resolve_run([scale_layer(conditions.scale)]))
    command = conditions.typed("train")
    found = Plan(
        given="train",
        sweep=single_run(resolved_auto(config, config, display), changed),
        records=open_records(display),
        display=display,
        components=conditions.components,
        command=command,
        retry=command,
        rerun_stale=True,
    )
    _refuse_unread_text(found)
    return found


def every_plan(files: Sequence[str], conditions: Conditions, display: Display) -> list[Plan]:
    """Return the plans of the shipped sweeps, of the user's sweeps used here, and of `files`.

    A remembered file that is refused by now is left out and reported.
    """
    records = open_records(display)
    kept = remembered(records, display)
    plans: dict[str, Plan] = {}
    for each in dict.fromkeys([*shipped_sweeps(), *kept, *files]):
        try:
            found = _plan(each, conditions, display)
        except UserError as error:
            if each not in kept or each in files:
                raise
            display.note(f"{each} is left out: {error}")
            continue
        plans.setdefault(found.sweep.name, found)  # the same file under another path has the same name
        remember(each, records, display)
    return list(plans.values())


def _refuse_unread_text(plan: Plan) -> None:
    """Raise UserError where settings name a text and no run reads one: they have no effect."""
    configs = [row.config for row in plan.sweep.rows]
    unread = [config for config in configs if config.unread_text()]
    if unread and not any(config.reads_text for config in configs):
        task = f"'{unread[0].task.name}' makes its sequences; leave it out"
        raise UserError(f"{plan.given}: {unread[0].unread_text()}: is for a task that reads text, and {task}")


def _say_which(given: str, sweep: Sweep, display: Display) -> None:
    """Say which sweep is meant where a user's file has the name of one that ships."""
    if sweep.file:
        if called_as_shipped(sweep.file):
            shipped = sweep.file.stem.replace("-", "_")
            display.note(
                f"{given}: means this file, not the sweep {shipped} that ships; its results are named {sweep.name}"
            )
        return
    for path in (Path(f"{sweep.name}.yaml"), Path(sweep.name)):
        if path.is_file() and called_as_shipped(path):
            display.note(
                f"{given}: means the sweep that ships, not the file {path} here; to use the file, type ./{path}"
            )
