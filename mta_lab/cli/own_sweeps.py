"""The sweep files of a user that were trained or reported here, so that `report all` has them, too."""

import json
from pathlib import Path

from mta_lab.errors import UserError
from mta_lab.records import Records, write_whole
from mta_lab.sweep import shipped_sweeps

FILE = "sweeps.json"


def remember(name: str, records: Records) -> None:
    """Keep the path of a user's sweep file beside the records; a directory that takes nothing is no reason to stop."""
    known = remembered(records)
    if name in known or name in shipped_sweeps() or not Path(name).is_file() or not records.directory.is_dir():
        return
    try:
        write_whole(records.directory / FILE, json.dumps([*known, name]))
    except UserError:
        return


def remembered(records: Records) -> list[str]:
    """Return the sweep files that were kept and are still there, in the order in which they came."""
    try:
        found = json.loads((records.directory / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [name for name in found if isinstance(name, str) and Path(name).is_file()] if isinstance(found, list) else []
