"""Say what to install where a command needs an extra; what needs it is imported after that."""

from importlib.util import find_spec

from mta_lab.errors import UserError

EXTRAS = {"hf": ("transformers", "safetensors"), "lm-eval": ("lm_eval",)}
"""packages without which an extra is not there"""


def check_extra(extra: str, command: str) -> None:
    """Raise UserError with what to type where an extra that `command` needs is not installed."""
    missing = [package for package in EXTRAS[extra] if find_spec(package) is None]
    if missing:
        raise UserError(f"{command}: needs {' and '.join(missing)}; type: pip install 'mta-lab[{extra}]'")
