"""The places that commands read and write: below one directory, and in the user's cache."""

import os
from dataclasses import dataclass
from pathlib import Path

from mta_lab.errors import UserError

HOME = "MTA_LAB_HOME"
"""environment variable that names the directory, where `--directory` doesn't"""


@dataclass(frozen=True)
class Workspace:
    """The paths below one directory; a relative one follows the current folder."""

    root: Path = Path()

    @property
    def results(self) -> Path:
        """Return the folder of records, weights, checkpoints, logs and Optuna's journal."""
        return self.root / "results"

    @property
    def pages(self) -> Path:
        """Return the folder of tables as HTML pages."""
        return self.results / "pages"

    @property
    def figures(self) -> Path:
        """Return the folder of figures of tables."""
        return self.results / "figures"

    @property
    def pictures(self) -> Path:
        """Return the folder of pictures of trained runs: kernels, attention maps."""
        return self.results / "pictures"

    @property
    def text(self) -> Path:
        """Return the folder of prepared text and its tokens."""
        return self.root / "data"

    @property
    def mlflow_database(self) -> Path:
        """Return the file of MLflow's default store."""
        return self.root / "mlflow.db"

    @property
    def mlflow_files(self) -> Path:
        """Return the folder of the files that MLflow's runs hold."""
        return self.root / "mlruns"


HERE = Workspace()
"""the workspace of this process, in the current folder"""


def enter(directory: Path) -> None:
    """Make `directory` the current folder, as if the command had been started there.

    Raises UserError where that is not possible.
    """
    try:
        os.chdir(directory)
    except OSError as error:
        given = f"--directory (or {HOME}): got '{directory}'"
        raise UserError(f"{given}, which cannot be entered: {error.strerror}; make it with mkdir first") from None


def user_cache() -> Path | None:
    """Return the folder of measurements that hold for this user: below XDG_CACHE_HOME, or ~/.cache.

    None where there is no home.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mta-lab"
    except RuntimeError:
        return None
