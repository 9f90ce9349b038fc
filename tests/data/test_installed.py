"""Text that installed distributions bring, by entry points of `mta_lab.corpora`."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.config import DataConfig, fingerprint
from mta_lab.data import find, prepare
from mta_lab.data.corpus import corpora, reachable
from mta_lab.data.installed import GROUP
from mta_lab.data.mixture import PAPER, shares
from mta_lab.errors import UserError
from tests.config.helpers import config

Install = Callable[..., None]
CODE = """
def corpus():
    print("the code of fables runs")
    return {
        "long": [f"The fox of tale {n} sees the grapes and leaves them." for n in range(60)],
        "short": (f"A crow, number {n}." for n in range(60)),
    }
"""
FABLES = DataConfig(corpus="fables")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return `install(code)`, which leaves what pip would leave of a distribution with `fables`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def one(code: str, distribution: str = "aesop", version: str = "1.2") -> None:
        (site / f"{distribution}.py").write_text(code)
        info = site / f"{distribution}-{version}.dist-info"
        info.mkdir()
        about = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\nLicense-Expression: CC0-1.0\n"
        (info / "METADATA").write_text(about)
        (info / "entry_points.txt").write_text(f"[{GROUP}]\nfables = {distribution}:corpus\n")

    yield one
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(site)):
            del sys.modules[name]


def test_an_installed_text_is_prepared_with_its_domains_and_rights(install: Install, tmp_path: Path) -> None:
    install(CODE)
    corpus = prepare(FABLES, 300, tmp_path / "data")
    assert [domain.name for domain in corpus.domains] == ["long", "short"]
    assert [domain.documents for domain in corpus.domains] == [60, 60]
    (source,) = {domain.sources[0] for domain in corpus.domains}
    assert (source.package, source.version, source.rights) == ("aesop", "1.2", "CC0-1.0")
    assert source.what == "entry point mta_lab.corpora:fables"
    assert shares(FABLES, [domain.name for domain in corpus.domains]) == {"long": 0.5, "short": 0.5}


def test_its_code_runs_where_it_is_prepared_and_not_again(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(CODE)
    assert corpora()[-1] == "fables"
    assert reachable(FABLES)
    assert find(FABLES, 300, tmp_path / "data") is None
    assert not capsys.readouterr().out
    made = prepare(FABLES, 300, tmp_path / "data")
    assert "the code of fables runs" in capsys.readouterr().out
    assert prepare(FABLES, 300, tmp_path / "data") == made == find(FABLES, 300, tmp_path / "data")
    assert not capsys.readouterr().out


def test_another_version_is_prepared_anew_and_the_same_text_is_the_same_run(install: Install, tmp_path: Path) -> None:
    install(CODE)
    first = prepare(FABLES, 300, tmp_path / "data")
    info = tmp_path / "site" / "aesop-1.2.dist-info"
    (info / "METADATA").write_text((info / "METADATA").read_text().replace("1.2", "1.3"))
    info.rename(info.with_name("aesop-1.3.dist-info"))
    again = prepare(FABLES, 300, tmp_path / "data")
    assert again.directory != first.directory
    assert again.content_hash == first.content_hash
    run = replace(config(), data=FABLES)
    assert fingerprint(run, "text") == fingerprint(replace(run, data=DataConfig()), "text")


def test_domains_of_the_papers_names_have_the_papers_shares() -> None:
    assert shares(FABLES, ["arxiv", "book"])["book"] == pytest.approx(PAPER["book"] / (PAPER["book"] + PAPER["arxiv"]))
    assert shares(FABLES, ["arxiv", "tales"]) == {"arxiv": 0.5, "tales": 0.5}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nothing_of_this_name", "fables of aesop 1.2 cannot be read: ModuleNotFoundError"),
        ("def corpus(): return {'a': 1 / 0}", "fables of aesop 1.2 cannot be read: ZeroDivisionError"),
        ("def corpus(): return ['text']", "fables of aesop 1.2: returns ['text'], allowed: a mapping of domains"),
        ("def corpus(): return {}", "fables of aesop 1.2: returns {}, allowed: a mapping of domains"),
        ("def corpus(): return {'../a': ['text']}", "fables of aesop 1.2: got '../a' as a domain, allowed: letters"),
        ("def corpus(): return {'a': 'text'}", "domain 'a' cannot be read: TypeError: one text in place of several"),
        ("def corpus(): return {'a': [3]}", "domain 'a' cannot be read: TypeError: a document that is no text, but 3"),
        ("def corpus(): return {'a': 3}", "domain 'a' cannot be read: TypeError"),
        ("def corpus(): return {'a': (1 / n for n in [0])}", "domain 'a' cannot be read: ZeroDivisionError"),
        ("def corpus(): return {'a': ['one text']}", "domain 'a': documents read: 1, kept for training: 1"),
    ],
)
def test_a_distribution_that_brings_no_text_is_named_in_one_line(
    code: str, said: str, install: Install, tmp_path: Path
) -> None:
    install(code)
    with pytest.raises(UserError) as caught:
        prepare(FABLES, 300, tmp_path / "data")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert find(FABLES, 300, tmp_path / "data") is None


def test_an_unknown_corpus_is_refused_with_all_names(install: Install, tmp_path: Path) -> None:
    install(CODE)
    with pytest.raises(UserError, match=r"got 'fable', allowed: packages or stdlib or fables; did you mean 'fables'\?"):
        find(DataConfig(corpus="fable"), 300, tmp_path)
    assert not reachable(DataConfig(corpus="fable"))


def test_a_name_that_two_distributions_bring_is_refused_and_no_other(install: Install, tmp_path: Path) -> None:
    install(CODE)
    install(CODE, "phaedrus", "2.0")
    with pytest.raises(UserError, match=r"aesop 1.2 and phaedrus 2.0 bring the same corpus 'fables': uninstall one"):
        prepare(FABLES, 300, tmp_path / "data")
    assert find(DataConfig(), 300, tmp_path / "data") is None
