"""Say what is installed here, as the places of a launch compare it. Imports torch."""

from collections.abc import Mapping

from mta_lab.executors.places import KERNELS, NONE
from mta_lab.provenance import versions
from mta_lab.training.arithmetic import kernel_library


def installed() -> Mapping[str, str]:
    """Return all that must be equal wherever runs of one launch are trained."""
    return {**versions(), KERNELS: kernel_library() or NONE}
