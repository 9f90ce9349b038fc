"""Ray itself, imported with the environment that it reads as it is imported.

Only the modules of this folder import it, and they are imported when a launch asks for Ray.
"""

import os
import sys

from mta_lab.errors import UserError
from mta_lab.executors.ray.tokens import MODE

if "ray" in sys.modules and os.environ.get(MODE) != "token":
    raise UserError(f"Ray was imported before, without tokens; set {MODE}=token before `import ray`")
os.environ.update(
    {
        # Said on each side: `ray start` asks for tokens where ~/.ray/auth_token lies, and a driver
        # that is told nothing then sends none, and waits 20 s for an answer.
        MODE: "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        # What Ray prints of machines that are gone, with stack traces: the launch says a line.
        "RAY_DEDUP_LOGS": "1",
        "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
        "RAY_ENABLE_AUTO_CONNECT": "0",  # or else a call after the end starts another Ray
        # A message to a worker that has died: its death is told by itself.
        "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    }
)
os.environ.pop("RAY_LOG_TO_STDERR", None)  # any value, 0 too, sends the logs of Ray's processes to the terminal

import ray  # which reads the environment
from ray import _raylet, exceptions
from ray._private import ray_constants as constants
from ray._private import services

__all__ = ["COMPILED", "address_here", "constants", "exceptions", "ray"]
COMPILED: str = _raylet.__file__
"""the file of the library in which Ray's core is"""


def address_here(cluster: str) -> str:
    """Return the address of the node on this machine that a driver will belong to, as Ray does."""
    found: str = services.get_node_to_connect_for_driver(_raylet.GcsClient(address=cluster)).node_manager_address
    return found
