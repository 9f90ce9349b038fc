"""Find text that installed distributions bring: entry points of the group `mta_lab.corpora`.

An entry point has the name of its corpus, and is a function without arguments that returns a
mapping of each domain's name to its documents. It runs where the text is prepared, and not before.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

from mta_lab.data.sources import Source
from mta_lab.errors import UserError, described

GROUP = "mta_lab.corpora"
DOMAIN = re.compile(r"\w[\w .-]*")
"""a domain's name begins the names of its files"""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A corpus of an installed distribution."""

    point: metadata.EntryPoint
    distribution: str
    version: str
    rights: str

    @property
    def source(self) -> Source:
        """Return what is shown about its text."""
        what = f"entry point {GROUP}:{self.point.name}"
        return Source(package=self.distribution, version=self.version, rights=self.rights, what=what)

    def domains(self) -> Iterator[tuple[str, Iterator[str]]]:
        """Yield the name of each domain with its documents; this runs the distribution's code.

        Raises:
            UserError: it fails, or returns something else.
        """
        where = f"data.corpus: {self.point.name} of {self.distribution} {self.version}"
        try:
            found = self.point.load()()
        except Exception as error:
            raise UserError(f"{where} cannot be read: {described(error)}") from error
        if not isinstance(found, Mapping) or not found:
            raise UserError(f"{where}: returns {found!r:.80}, allowed: a mapping of domains to their documents")
        for name, documents in found.items():
            if not isinstance(name, str) or not DOMAIN.fullmatch(name):
                raise UserError(f"{where}: got {name!r} as a domain, allowed: letters, digits, blanks, _ - .")
            yield name, _texts(documents, f"{where}: domain '{name}'")


def _texts(documents: Iterable[object], where: str) -> Iterator[str]:
    """Yield the documents; raise UserError for one that is no text, or cannot be read."""
    try:
        if isinstance(documents, str):
            raise TypeError("one text in place of several")
        for document in documents:
            if not isinstance(document, str):
                raise TypeError(f"a document that is no text, but {document!r:.80}")
            yield document
    except Exception as error:
        raise UserError(f"{where} cannot be read: {described(error)}") from error


def names() -> list[str]:
    """Return the names of all installed corpora, sorted; nothing of their code runs."""
    return sorted({point.name for point in metadata.entry_points(group=GROUP)})


def named(name: str) -> Installed | None:
    """Return the installed corpus of a name, or None; nothing of its code runs.

    Raises:
        UserError: two distributions bring a corpus of that name.
    """
    found = {one.source: one for one in map(_described, metadata.entry_points(group=GROUP, name=name))}
    if len(found) > 1:
        both = " and ".join(sorted(f"{one.package} {one.version}" for one in found))
        raise UserError(f"data.corpus: {both} bring the same corpus '{name}': uninstall one")
    return next(iter(found.values()), None)


def _described(point: metadata.EntryPoint) -> Installed:
    if point.dist is None:
        return Installed(point=point, distribution="unknown", version="", rights="not said")
    name, version, about = point.dist.name, point.dist.version, point.dist.metadata
    rights = next((about[key] for key in ("License-Expression", "License") if key in about), "not said")
    return Installed(point=point, distribution=name, version=version, rights=rights.partition("\n")[0])
