"""`results`: what is finished here, another directory's results taken in, a sweep's packed to be reported elsewhere."""

from collections.abc import Sequence
from dataclasses import replace as changed
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from mta_lab.cli.common import dashboard_address, make_console, open_records
from mta_lab.cli.own_sweeps import remembered
from mta_lab.cli.sweeping import Plan, finished_table, plan
from mta_lab.config import Precision, RunConfig, plain
from mta_lab.errors import UserError
from mta_lab.launch.guards import only_launch
from mta_lab.plugins import load_components
from mta_lab.results import exchange as travel
from mta_lab.results.records import Records, settings_key
from mta_lab.sweep import load_sweep, shipped_sweeps
from mta_lab.words import counted


def show(components: Sequence[Path]) -> None:
    """Print what is finished, in which sweeps it stands, and the room that it takes."""
    load_components(components)
    records, console = open_records(), make_console()
    found = travel.finished_groups(records)
    table = RichTable(title=f"finished runs in {records.directory}")
    for column in ("scale", "task", "text", "engine", "runs", "configurations", "from", "to"):
        table.add_column(column, justify="right" if column in ("engine", "runs", "configurations") else "left")
    for group in found:
        engine = "unknown" if group.engine is None else str(group.engine)
        numbers = f"{group.runs:,}", f"{group.configurations:,}"
        table.add_row(group.scale, group.task, group.text[:16] or "-", engine, *numbers, *group.days)
    console.print(table if found else f"nothing is finished in {records.directory}")
    for line in _by_sweep(records, sorted({group.scale for group in found})):
        console.print(line, soft_wrap=True)
    for kind, (files, size) in travel.sizes(records).items():
        if files:
            console.print(f"{kind}: {counted(files, 'file')}, {size / 1e6:,.1f} MB")


def _by_sweep(records: Records, scales: Sequence[str]) -> list[str]:
    """Return how many runs there are with the settings of each sweep as it stands; stale ones count."""
    recorded = set(records.settings().values())
    lines = []
    for name in [*shipped_sweeps(), *remembered(records)]:
        for scale in scales:
            try:
                runs = load_sweep(name, scale=scale).runs()
            except UserError:  # a scale of settings only, or a file that is refused now: `report` says why
                continue
            there = sum(bool(_keys(run.config) & recorded) for run in runs)
            if there:
                lines.append(f"{name} ({scale}): {there} of {counted(len(runs), 'run')}")
    return lines


def _keys(config: RunConfig) -> set[str]:
    """The settings of a run as records have them, whichever precision 'auto' came to."""
    training = config.training
    kinds: tuple[Precision, ...] = ("fp32", "bf16") if training.precision == "auto" else (training.precision,)
    return {settings_key(plain(changed(config, training=changed(training, precision=kind)))) for kind in kinds}


def merge(other: Path, *, replace: bool, failures: bool, weights: bool) -> None:
    """Take another directory's results in; exit with status 1 where both have a run or a search that differs."""
    records, console = open_records(), make_console()
    done = travel.merge(records, other, replace=replace, failures=failures, weights=weights)
    replaced = f", {len(done.replaced)} replaced" if done.replaced else ""
    console.print(f"{records.directory}: {counted(len(done.added), 'file')} added{replaced}, {len(done.same)} the same")
    if done.unreadable:
        console.print(f"left out, as they cannot be read: {travel.listed(done.unreadable)}", soft_wrap=True)
    kept = _kept("the same run with another result in both", done.conflicts, console)
    if _merge_searches(records, other, console, replace=replace) or kept:
        raise SystemExit(1)


def _merge_searches(records: Records, other: Path, console: Console, *, replace: bool) -> bool:
    """Take the other's searches in, if it has any; return whether one was kept as it is here."""
    from mta_lab.launch.launch import JOURNAL  # slow to import

    if not (other / JOURNAL).is_file():
        return False
    from mta_lab.scheduling import take_searches

    with only_launch(records.directory):
        taken = take_searches(records.directory / JOURNAL, other / JOURNAL, console.print, replace=replace)
    for what, names in (("added", taken.added), ("replaced", taken.replaced)):
        if names:
            console.print(f"searches {what}: {travel.listed(names)}", soft_wrap=True)
    return _kept("the same search with other trials in both", taken.conflicts, console)


def _kept(same: str, conflicts: Sequence[str], console: Console) -> bool:
    """Say what stands in both with other content and is kept, if anything does; return whether."""
    if conflicts:
        said = f"{same}, and kept as it is here: {travel.listed(conflicts)}; --replace takes the other's"
        console.print(said, soft_wrap=True)
    return bool(conflicts)


def archive(
    name: str,
    settings: Sequence[str],
    scale: str,
    seeds: int | None,
    components: Sequence[Path],
    *,
    weights: bool,
    output: Path | None,
) -> None:
    """Pack the finished runs of a sweep with its page, its table and what a report of it needs."""
    from mta_lab.launch.launch import JOURNAL  # slow to import
    from mta_lab.report import markdown
    from mta_lab.report.files import artifacts

    found = plan(name, settings, scale, seeds, components)
    sources = _sources(found, components)
    table = finished_table(found)
    runs = [record.fingerprint for row in table.rows for record in row.measured.records.values()]
    if not runs:
        raise UserError(f"{name}: no run of it is finished, so there is nothing to pack; `{found.command}` trains it")
    files = travel.files_to_pack(found.records, runs, weights=weights)
    files |= artifacts(table, found.command, dashboard_address())
    files |= {"report.md": markdown(table), "README.txt": _readme(found), **sources}
    if found.sweep.search and (found.records.directory / JOURNAL).exists():
        files[f"results/{JOURNAL}"] = found.records.directory / JOURNAL
    target = output or Path(f"{found.sweep.shown_as}.tar.gz")
    if target.resolve().is_relative_to(found.records.directory.resolve()):
        raise UserError(f"--output: {target} lies among the results themselves; name a file elsewhere")
    count = travel.archive(target, files)
    make_console().print(
        f"{target} is written: {counted(len(runs), 'run')} in {counted(count, 'file')}", soft_wrap=True
    )


def _sources(found: Plan, components: Sequence[Path]) -> dict[str, Path | str]:
    """The sweep file and the components, where they are a user's own, under the paths by which they were given."""
    given = [*([Path(found.given)] if Path(found.given).is_file() else []), *components, *found.sweep.components]
    files = [file for path in given for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    here = Path.cwd()
    outside = [file for file in files if not file.resolve().is_relative_to(here)]
    if outside:
        raise UserError(f"{outside[0]}: lies outside this directory and would be missing elsewhere; copy it here first")
    return {file.resolve().relative_to(here).as_posix(): file for file in files}


def _readme(found: Plan) -> str:
    return (
        f"{found.sweep.heading}\n\n"
        "report.html is the page of these results, table.json has all numbers. With mta-lab, in this directory:\n\n"
        f"    {found.report}\n\n"
        "Elsewhere, `mta-lab results merge DIRECTORY/results` takes the runs in. The text that they read is not in\n"
        "here and is not needed for a report.\n"
    )
