"""The places that commands read and write: below one directory, and in the user's cache."""

import os
import shlex
from pathlib import Path

from mta_lab.errors import UserError

HOME = "MTA_LAB_HOME"
"""environment variable that names the directory, where `--directory` doesn't"""

# Relative: they follow the current folder, which `enter` chooses.
RESULTS = Path("results")
"""the folder of records, weights, checkpoints, logs and Optuna's journal"""
PAGES = RESULTS / "pages"
"""the folder of tables as HTML pages"""
FIGURES = RESULTS / "figures"
"""the folder of figures of tables"""
PICTURES = RESULTS / "pictures"
"""the folder of pictures of trained runs: kernels, attention maps"""
JOURNAL = "optuna.journal"
"""the file of Optuna's studies, in a results folder; so are the next ones"""
LAUNCH_LOCK = "launch.lock"
"""the file that a launch holds as long as it runs"""
LAUNCH_NONCE = "launch.nonce"
"""the file by which workers elsewhere show that they see the launch's directory"""
LAUNCH_STATUS = "launch.json"
"""the file that says what a launch does now"""
LAUNCH_ARRAY = "launch.slurm"
"""the file with the number of a launch's job array in Slurm"""
LAUNCH_REQUESTS = "requests"
"""the folder of what other commands ask of a launch that runs: an empty file a request"""
LAUNCH_EVENTS = "events.jsonl"
"""the log of what launches did"""
RAY_TOKEN = "ray.token"
"""the file of the token that a Ray cluster started here asks for"""
DOCTOR = RESULTS / "doctor"
"""the folder of what `mta-lab doctor` has trained, and what its workers printed"""
OWN_SWEEPS = "sweeps.json"
"""the file that names the user's own sweeps"""
LOOKS = "looks.json"
"""the file that says at which looks verdicts were given"""
STEP_TIMES = "step_times.json"
"""the file of what a step of a row takes over one of its baseline"""
NOTES = "notes.json"
"""the file of what a person wrote down on finished runs"""
CORPORA = Path("data")
"""the folder of prepared text and its tokens"""
LAUNCHER = Path("launcher.yaml")
"""the file of a launch's options, where every launch of this workspace has the same"""
MLFLOW_DATABASE = Path("mlflow.db")
"""the file of MLflow's default store"""
MLFLOW_FILES = Path("mlruns")
"""the folder of the files that MLflow's runs hold"""


_typed: list[Path] = []
"""the directory that the user typed before this command, if any"""
_entered: list[Path] = []
"""the directory that was entered, as seen from the shell's, if any"""


def note_typed(directory: Path | None) -> None:
    """Keep the directory that the user typed for this command; None where none was typed."""
    _typed[:] = [directory] if directory is not None else []
    _entered.clear()


def again(command: str) -> str:
    """Return a command of `mta-lab` for a message: typed in the same shell, it comes here again.

    It repeats the `--directory` that the user typed; one that the environment names needs no word.
    Commands that are kept in files, or travel with results, stay without.
    """
    directory = f" --directory {shlex.quote(str(_typed[0]))}" if _typed else ""
    return f"mta-lab{directory}{command.removeprefix('mta-lab')}"


def in_shell(path: Path) -> str:
    """Return a path for a command in a message, as the shell finds it in which the user typed."""
    return shlex.quote(str(Path(*_entered, path)))  # an absolute path stays as it is


def enter(directory: Path) -> None:
    """Make `directory` the current folder, as if the command had been started there.

    Raises UserError where that is not possible.
    """
    try:
        os.chdir(directory)
        _entered[:] = [directory]
    except OSError as error:
        given = f"--directory (or {HOME}): got '{directory}'"
        raise UserError(f"{given}, which cannot be entered: {error.strerror}; make it with mkdir first") from None


def user_cache() -> Path | None:
    """Return the folder of measurements that hold for this user: below XDG_CACHE_HOME, or ~/.cache.

    None where there is no home. A relative XDG_CACHE_HOME counts as none, as its specification
    says: what is kept there would be whatever lies in the current folder.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return Path(given if os.path.isabs(given) else Path.home() / ".cache") / "mta-lab"
    except RuntimeError:
        return None
