"""Take in another directory's searches, and pack a sweep's results for elsewhere."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mta_lab.errors import UserError
from mta_lab.lab.elsewhere import hint
from mta_lab.lab.plan import Plan
from mta_lab.lab.tables import dashboard_address, finished_table
from mta_lab.lab.texts import known_runs
from mta_lab.lab.tuning import tuning_runs
from mta_lab.launch.guards import only_launch
from mta_lab.planning.runs import with_parents
from mta_lab.plugins import component_files
from mta_lab.report import Table, markdown
from mta_lab.report.files import artifacts
from mta_lab.results import exchange
from mta_lab.results.looks import looks_of, merge_looks
from mta_lab.results.notes import merge_notes, notes_of, written_notes
from mta_lab.results.records import Records
from mta_lab.results.step_times import merge_step_times, step_times, written_step_times
from mta_lab.scheduling import take_searches
from mta_lab.scheduling.merge import Taken
from mta_lab.strict import FaultError
from mta_lab.workspace import JOURNAL, LOOKS, NOTES, STEP_TIMES, again


def merge_searches(records: Records, other: Path, say: Callable[[str], None], *, replace: bool) -> Taken | None:
    """Take in the searches of the results directory `other`; return None if it has none."""
    if not (other / JOURNAL).is_file():
        return None
    with only_launch(records.directory):
        return take_searches(records.directory / JOURNAL, other / JOURNAL, say, replace=replace)


def export(plan: Plan, target: Path) -> exchange.Merged:
    """Write the finished runs of a plan into a folder that `results merge` takes, and nothing else.

    The runs that chose its values are among them, where it tunes, and the looks at which verdicts
    were given. Runs that the folder has already are left as they are. Records name a processor and
    versions, and no path, user or host.

    Raises:
        UserError: no run is finished, or the folder holds another result of one of the runs.
    """
    runs = _finished(plan, finished_table(plan))
    done = exchange.export(plan.records, runs, target)
    if done.conflicts:
        said = f"has another result of {exchange.listed(done.conflicts)}; remove it there, or name another folder"
        raise UserError(f"--output: {target} {said}")
    try:
        merge_looks(target, plan.records.directory, plan.sweep.shown_as)
    except FaultError as error:
        raise UserError(f"--output: the looks of {plan.given} cannot be read ({error})") from None
    merge_notes(target, plan.records.directory, runs)
    merge_step_times(target, plan.records.directory, runs)
    return done


def _notes(plan: Plan, runs: Sequence[str]) -> dict[str, Path | str]:
    """Return the notes on some runs, by their place in an archive."""
    found = notes_of(plan.records.directory, runs)
    return {f"results/{NOTES}": written_notes(found)} if found else {}


def _step_times(plan: Plan, runs: Sequence[str]) -> dict[str, str]:
    """Return what steps of some runs take, by its place in an archive."""
    found = step_times(plan.records.directory, runs)
    return {f"results/{STEP_TIMES}": written_step_times(found.values())} if found else {}


def _looks(plan: Plan) -> dict[str, str]:
    """Return the looks at which verdicts were given, by their place in an archive."""
    try:
        found = looks_of(plan.records.directory, plan.sweep.shown_as)
    except FaultError as error:
        file = plan.records.directory / LOOKS
        raise UserError(f"{file}: cannot be read ({error}), so that the archive would lack the looks used") from None
    return {f"results/{LOOKS}": found} if found else {}


def _finished(plan: Plan, table: Table) -> list[str]:
    """Return the fingerprints of the runs in a plan's table, and of those that tuned it."""
    finished = {record.fingerprint for row in table.rows for record in row.measured.records.values()}
    runs = [
        run.fingerprint for run in with_parents(one for one in known_runs(plan) or () if one.fingerprint in finished)
    ]
    if not runs:
        nothing = (
            f"{plan.given}: no run is finished, so there is nothing to pack; `{again(plan.command)}` trains the sweep"
        )
        raise UserError(f"{nothing}{hint(plan)}")
    tuned = [run.fingerprint for tries in tuning_runs(plan).values() for run in tries]
    return [*filter(plan.records.has_finished, [*runs, *tuned])]


def pack(plan: Plan, target: Path | None, *, weights: bool) -> tuple[Path, int, int]:
    """Pack the finished runs of a plan, its page, its table, and all that reports need elsewhere.

    Returns:
        The archive, the number of runs, and the number of files in it.

    Raises:
        UserError: no run is finished, the looks cannot be read, or one of the user's own files lies
            outside the current directory.
    """
    sources, table = _sources(plan), finished_table(plan)
    runs = _finished(plan, table)
    files = exchange.files_to_pack(plan.records, runs, weights=weights)
    files |= artifacts(table, plan.command, dashboard_address())
    files |= {
        "report.md": markdown(table),
        "README.txt": _readme(plan),
        **_looks(plan),
        **_notes(plan, runs),
        **_step_times(plan, runs),
        **sources,
    }
    if plan.sweep.search and (plan.records.directory / JOURNAL).exists():
        files[f"results/{JOURNAL}"] = plan.records.directory / JOURNAL
    target = target or Path(f"{plan.sweep.shown_as}.tar.gz")
    if target.resolve().is_relative_to(plan.records.directory.resolve()):
        raise UserError(f"--output: {target} lies inside the results that are packed; name a file elsewhere")
    return target, len(runs), exchange.archive(target, files)


def _sources(plan: Plan) -> dict[str, Path | str]:
    """Return the user's own sweep file and components, under the paths by which they were given."""
    own = [Path(plan.given)] if Path(plan.given).is_file() else []
    given = [*own, *plan.components, *plan.sweep.components]
    files = [file for path in given for file in component_files(path)]
    here = Path.cwd()
    outside = [file for file in files if not file.resolve().is_relative_to(here)]
    if outside:
        raise UserError(f"{outside[0]}: lies outside this directory and would be missing elsewhere; copy it here first")
    return {file.resolve().relative_to(here).as_posix(): file for file in files}


def _readme(plan: Plan) -> str:
    return (
        f"{plan.sweep.heading}\n\n"
        "report.html is the page of these results; table.json has all numbers. With mta-lab, in this directory:\n\n"
        f"    {plan.report}\n\n"
        "In another directory, `mta-lab results merge PATH/results` takes the runs in. The training text is not\n"
        "included; a report does not need it.\n"
    )
