"""Keep notes on finished runs: what a person wrote down, beside the records."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from mta_lab.atomic import write_whole
from mta_lab.errors import UserError
from mta_lab.strict import FaultError, as_json, content
from mta_lab.workspace import NOTES, in_shell


def notes_of(directory: Path, among: Collection[str] | None = None) -> dict[str, str]:
    """Return the notes by fingerprint, of some runs or of all.

    Raises:
        UserError: their file cannot be read.
    """
    path = directory / NOTES
    try:
        found = as_json(content(path))
        if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
            raise FaultError("it is not a mapping of fingerprints to texts")
    except OSError:
        return {}
    except FaultError as error:
        remedy = f"mend it, or delete it with all notes: rm {in_shell(path)}"
        raise UserError(f"{path}: cannot be read ({error}); {remedy}") from None
    return {name: text for name, text in found.items() if among is None or name in among}


def write_note(directory: Path, fingerprint: str, text: str) -> None:
    """Keep a note on a run in place of the one before; an empty text takes it away."""
    _write(directory, {**notes_of(directory), fingerprint: text})


def merge_notes(directory: Path, other: Path, among: Collection[str] | None = None) -> None:
    """Take in the notes of another results directory; where both have one on a run, ours stays."""
    ours = notes_of(directory)
    if missing := notes_of(other, among).keys() - ours.keys():
        _write(directory, {**notes_of(other, missing), **ours})


def written_notes(notes: Mapping[str, str]) -> str:
    """Return the content of the file of these notes."""
    return json.dumps({name: text for name, text in sorted(notes.items()) if text}, indent=1) + "\n"


def _write(directory: Path, notes: Mapping[str, str]) -> None:
    write_whole(directory / NOTES, written_notes(notes))
