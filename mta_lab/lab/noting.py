"""Keep notes on finished runs, which tables, pages and MLflow show."""

from mta_lab.errors import UserError
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.trained import find_record
from mta_lab.results.notes import notes_of, write_note
from mta_lab.tracking.opened import describe_run
from mta_lab.workspace import again


def note(name: str, row: str, seed: int | None, text: str | None, conditions: Conditions, display: Display) -> str:
    """Keep a note on a finished run, and return it; without a `text`, return the one that is kept.

    An empty text takes the note away. The run is found as by `trained.find_record`. MLflow has the
    note at once, or, where it does not answer, after the next `mta-lab sync`.

    Raises:
        UserError: no such run is finished, or the notes cannot be read or written.
    """
    record, records = find_record(name, row, seed, conditions, display)
    if text is None:
        return notes_of(records.directory).get(record.fingerprint, "")
    write_note(records.directory, record.fingerprint, text)
    try:
        if record.run_id:
            describe_run(record.run_id, text)
    except UserError as error:
        display.note(f"{error}; `{again('mta-lab sync')}` with the sweep enters the note later")
    return text
