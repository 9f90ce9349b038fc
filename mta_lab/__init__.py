"""MTA Lab: ablation sweeps of attention variants (Multi-Token Attention, arXiv 2504.00927).

    import mta_lab

    sweep = mta_lab.load("kernel_sizes", settings={"training.steps": 20})
    sweep.run(rows=["transformer", "6x11"])
    sweep.table().to_frame()
    sweep.figure("forest")
    sweep.run_of("6x11", seed=0).model()
    sweep.run_of("6x11", seed=0).evaluate("token_accuracy")

What is named here is imported when it is first used, so that `import mta_lab` is quick. Nothing
else is imported here: `python -m mta_lab` reads this file while Python still looks for modules in
the current folder (see `__main__`).
"""

TYPE_CHECKING = False  # as `typing` has it, which is a module to look for
if TYPE_CHECKING:
    from typing import Any

    from mta_lab.errors import UserError
    from mta_lab.lab.evaluating import EvaluationResult
    from mta_lab.lab.loaded import LoadedSweep, load
    from mta_lab.lab.opened import FinishedRun
    from mta_lab.lab.picture import Picture

    __version__: str

__all__ = ["EvaluationResult", "FinishedRun", "LoadedSweep", "Picture", "UserError", "__version__", "load"]

_HOMES = {
    "EvaluationResult": "mta_lab.lab.evaluating",
    "FinishedRun": "mta_lab.lab.opened",
    "LoadedSweep": "mta_lab.lab.loaded",
    "Picture": "mta_lab.lab.picture",
    "UserError": "mta_lab.errors",
    "load": "mta_lab.lab.loaded",
}


def __getattr__(name: str) -> "Any":
    """Import a public name from its module, or read the version of the installed package."""
    from importlib import import_module, metadata  # noqa: PLC0415  see above: not before Python's path is safe

    if name == "__version__":
        return metadata.version("mta-lab")
    if name not in _HOMES:
        raise AttributeError(f"module 'mta_lab' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return __all__
