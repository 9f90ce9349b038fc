"""Brings an experiment up to the records, while no launch is writing to either."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mta_lab.errors import UserError, described
from mta_lab.records import Failure, Records
from mta_lab.tracking.entries import Entry
from mta_lab.tracking.experiment import Experiment


@dataclass
class Synced:
    """What was done."""

    finished: int = 0
    """cells entered"""
    failed: int = 0
    """cells entered"""
    closed: int = 0
    """runs that some launch had left open"""


def sync(name: str, quantity: str, entries: Iterable[Entry], records: Records, params: Collection[str] = ()) -> Synced:
    """Enter what the experiment `name` lacks of `entries`, and close what launches of these records left open.

    A cell whose run is closed so is entered as well if it has finished, whatever settings it was launched with. The
    caller holds the launch's lock. Raises UserError where MLflow fails; what is entered by then stays, and the next
    call goes on. The experiment's view shows `params`.
    """
    done = Synced()
    try:
        experiment = Experiment(name, records.identity)
        contents = experiment.contents()
        for run_id in contents.running:
            experiment.kill(run_id)
            done.closed += 1
        for entry in [*entries, *filter(None, contents.running.values())]:
            result = contents.lacks(entry, records)
            if result is None:
                continue
            experiment.create(quantity, params)
            experiment.enter(entry, result)
            contents.add(result)
            if isinstance(result, Failure):
                done.failed += 1
            else:
                done.finished += 1
    except UserError:
        raise
    except Exception as error:  # whatever a store or a server comes up with
        raise UserError(
            f"{name}: MLflow failed ({described(error)}); the records keep it all, sync again later"
        ) from None
    return done
