"""Choose the launcher of a launch: the options that are typed, above those of a file."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.util import find_spec
from typing import Any

from mta_lab.config import read_yaml
from mta_lab.errors import UserError, nearest
from mta_lab.executors.launchers import Launcher
from mta_lab.executors.slurm.array import check
from mta_lab.strict import FaultError, built
from mta_lab.workspace import LAUNCHER

KEYS = tuple(one.name for one in fields(Launcher))


def launcher_of(
    launcher: str | None = None,
    workers: int | None = None,
    address: str | None = None,
    threads: int | None = None,
    slurm: Sequence[str] | None = None,
) -> Launcher:
    """Return the launcher of a command: its options, above what `launcher.yaml` says.

    Args:
        launcher: local, ray or slurm; None where an option is not given.
        workers: number of runs that train at the same time.
        address: HOST:PORT of the head of a Ray cluster.
        threads: torch threads of each run on a cluster.
        slurm: options of sbatch, each as KEY=VALUE, or KEY alone.

    Raises:
        UserError: there is no such launcher, or an option is of another one.
    """
    typed = {"launcher": launcher, "workers": workers, "address": address, "threads": threads}
    given = _of_file()
    if launcher and given.get("launcher", launcher) != launcher:
        given = {}  # options of another launcher
    given |= {name: value for name, value in typed.items() if value is not None}
    if slurm:
        given["slurm"] = given.get("slurm", {}) | dict(map(_pair, slurm))
    found = _built(given, "--")
    _check(found)
    return found


def _of_file() -> dict[str, Any]:
    """Return what the workspace's `launcher.yaml` says; nothing where there is none."""
    if not LAUNCHER.exists():
        return {}
    found = read_yaml(LAUNCHER, str(LAUNCHER))
    for key in found:
        if key not in KEYS:
            hint = nearest(key, KEYS) or ";"
            raise UserError(f"{LAUNCHER}: no key named '{key}'{hint} allowed: {', '.join(KEYS)}")
    if isinstance(slurm := found.get("slurm"), Mapping):
        found["slurm"] = {key: _of_sbatch(value, f"{LAUNCHER}: slurm.{key}") for key, value in slurm.items()}
    _built(found, f"{LAUNCHER}: ")
    return found


def _built(options: Mapping[str, Any], where: str) -> Launcher:
    """Return the launcher of options; refuse impossible ones in a line that begins with `where`."""
    try:
        found = built(Launcher, options)
    except FaultError as error:
        raise UserError(f"{where}{error}") from None
    for name, number in (("workers", found.workers), ("threads", found.threads)):
        if number is not None and number < 1:
            raise UserError(f"{where}{name}: got {number}, allowed: 1 or more")
    check(found.slurm, f"{where}slurm")
    return found


def _of_sbatch(value: Any, where: str) -> str:
    """Return the value of an option of sbatch as it is typed; a flag has none."""
    if value is True:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UserError(f"{where}: got {value!r}, allowed: a text, a number, or true for an option without a value")
    return str(value)


def _pair(text: str) -> tuple[str, str]:
    """Return the key and the value of an option of sbatch; a flag has no value."""
    key, _, value = text.removeprefix("--").partition("=")
    if not key:
        raise UserError(f"--slurm: got '{text}', allowed: KEY=VALUE as sbatch has it, like partition=gpu")
    return key, value


def _check(found: Launcher) -> None:
    """Refuse options that do not go together."""
    if found.address and found.launcher != "ray":
        raise UserError(f"--address: names the head of a Ray cluster, beside --launcher ray, not {found.launcher}")
    if found.slurm and found.launcher != "slurm":
        raise UserError(f"--slurm: holds options of sbatch, beside --launcher slurm, not {found.launcher}")
    if found.threads > 1 and not found.elsewhere:
        raise UserError("--threads: is of a cluster; on one machine, workers share the cores")
    if found.launcher != "local" and find_spec("ray") is None:
        raise UserError(f"--launcher {found.launcher}: needs Ray: pip install 'mta-lab[ray]'")
    if found.elsewhere and found.workers is None:
        raise UserError("--workers: is needed on a cluster: how many runs train at the same time, like --workers 16")
