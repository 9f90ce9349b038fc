"""The token of a Ray cluster, which all that belongs to it know, and nobody else."""

import os
import secrets
from pathlib import Path

from mta_lab.atomic import replacing
from mta_lab.errors import UserError
from mta_lab.workspace import RAY_TOKEN, RESULTS

MODE, TOKEN_PATH, TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN"
GUARDED = {MODE: "token", "RAY_USAGE_STATS_ENABLED": "0"}
"""variables of Ray's programs that ask for the token, and send no reports"""
USUAL = Path(".ray", "auth_token")  # in the home directory
REMEDY = f"{TOKEN_PATH} names the file that holds it, by default ~/{USUAL}, or else {RESULTS / RAY_TOKEN}"


def own_token(state: Path) -> Path:
    """Return the file of this workspace's token; written on first use, for its owner only.

    Ray writes its own in the home directory, for everybody to read.
    """
    file = state.absolute() / RAY_TOKEN
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or file.stat().st_mode & 0o077:  # copied, and others may have read it
        with replacing(file, private=True) as written:
            written.write(secrets.token_hex(32).encode())
    return file


def known_token(asked: str, *, make: bool = False) -> dict[str, str]:
    """Return the variables by which Ray finds the token of a cluster that is not the launch's own.

    It is the user's, in RAY_AUTH_TOKEN, in the file of RAY_AUTH_TOKEN_PATH or in ~/.ray/auth_token;
    where there is none, this workspace's, which is made where that is to be.

    Raises:
        UserError: there is none; the line begins with what was `asked` for.
    """
    if os.environ.get(TOKEN):
        return {}
    named, usual = os.environ.get(TOKEN_PATH), Path.home() / USUAL
    file = Path(named) if named else usual
    if not named and not usual.exists():
        file = own_token(RESULTS) if make else RESULTS.absolute() / RAY_TOKEN
    if not file.exists():
        raise UserError(f"{asked}: needs the cluster's token: {REMEDY}")
    return {TOKEN_PATH: str(file)}
