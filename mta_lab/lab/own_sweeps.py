"""Remember the user's sweep files that were used here, for `report all` and `sync all`."""

import json
import os

from mta_lab.errors import UserError
from mta_lab.lab.display import Display
from mta_lab.results.records import Records, write_whole
from mta_lab.strict import FaultError, as_json, content
from mta_lab.sweep import shipped_sweeps
from mta_lab.workspace import OWN_SWEEPS, again


def remember(name: str, records: Records, display: Display) -> None:
    """Keep the path of a user's sweep file beside the records, if it can be written."""
    known = remembered(records, display)
    if name in known or name in shipped_sweeps() or not os.path.isfile(name) or not records.directory.is_dir():
        return
    try:
        write_whole(records.directory / OWN_SWEEPS, json.dumps([*known, name]))
    except UserError:
        return


def remembered(records: Records, display: Display) -> list[str]:
    """Return the sweep files that were kept and still exist, in the order of their first use."""
    path = records.directory / OWN_SWEEPS
    try:
        found = as_json(content(path))
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise FaultError("it is not a list of files")
    except OSError:
        return []
    except FaultError as error:
        display.note(
            f"{path}: cannot be read ({error}); your own sweeps are left out until "
            f"`{again('mta-lab report FILE')}` names them again"
        )
        return []
    return [name for name in found if os.path.isfile(name)]  # os.path's raises nothing for odd names, Path's does
