"""The sweep files of a user that were trained or reported here, so that `report all` and `sync all` have them, too."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from mta_lab.cli.common import note, open_records
from mta_lab.cli.sweeping import Plan, plan
from mta_lab.errors import UserError
from mta_lab.results.records import Records, write_whole
from mta_lab.strict import FaultError, as_json, content
from mta_lab.sweep import shipped_sweeps

FILE = "sweeps.json"


def remember(name: str, records: Records) -> None:
    """Keep the path of a user's sweep file beside the records; a directory that takes nothing is no reason to stop."""
    known = remembered(records)
    if name in known or name in shipped_sweeps() or not os.path.isfile(name) or not records.directory.is_dir():
        return
    try:
        write_whole(records.directory / FILE, json.dumps([*known, name]))
    except UserError:
        return


def remembered(records: Records) -> list[str]:
    """Return the sweep files that were kept and are still there, in the order in which they came."""
    path = records.directory / FILE
    try:
        found = as_json(content(path))
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise FaultError("it is no list of files")
    except OSError:
        return []
    except FaultError as error:
        note(f"{path}: cannot be read ({error}); sweeps of yours are left out until they are reported again")
        return []
    return [name for name in found if os.path.isfile(name)]  # which, unlike Path's, raises nothing for odd names


def every_plan(words: Sequence[str], scale: str, seeds: int | None, components: Sequence[Path]) -> list[Plan]:
    """Return the plans of the shipped sweeps, of a user's that were used here, and of the files among `words`.

    The other words are settings. A file that was kept and is refused now is left out, and said.
    """
    given, settings = [word for word in words if "=" not in word], [word for word in words if "=" in word]
    records = open_records()
    kept = remembered(records)
    plans: dict[str, Plan] = {}
    for each in dict.fromkeys([*shipped_sweeps(), *kept, *given]):
        try:
            found = plan(each, settings, scale, seeds, components)
        except UserError as error:
            if each not in kept or each in given:
                raise
            note(f"{each} is left out: {error}")
            continue
        plans.setdefault(found.sweep.name, found)  # the same file under another path has the same name
        remember(each, records)
    return list(plans.values())
