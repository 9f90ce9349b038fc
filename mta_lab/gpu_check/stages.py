"""List the stages of the check, in their order, each with its limit and what it proves."""

from dataclasses import dataclass


class StageError(Exception):
    """A stage found something wrong; the message says what."""


class NotRunError(Exception):
    """A stage cannot be run here; the message says why, and nothing is wrong."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of the check."""

    name: str
    limit: int
    """seconds after which it is ended and counts as failed"""
    proves: str
    built: bool = True
    """False if there is nothing to run: kernels for GPUs are still to be written"""


STAGES = (
    Stage(name="environment", limit=40, proves="torch computes on the GPU, at what share of its stated peaks"),
    Stage(name="tests", limit=100, proves="components and training agree with their references, resume is exact"),
    Stage(name="attention", limit=60, proves="time and peak memory of each implementation of attention"),
    Stage(name="kernels", limit=0, proves="kernels that store no map on a GPU agree and are faster", built=False),
    Stage(name="step", limit=70, proves="tokens a second, memory and MFU of the paper's models, beside its Table 9"),
    Stage(name="sweep", limit=90, proves="a sweep survives a killed worker, and trains nothing twice"),
    Stage(
        name="failures", limit=50, proves="out of memory halves the micro-batch; an error of the GPU costs one worker"
    ),
    Stage(name="resume", limit=25, proves="an interrupted run with dropout ends as a whole one, to the bit"),
    Stage(name="workers", limit=40, proves="how many small runs should share a GPU"),
)
