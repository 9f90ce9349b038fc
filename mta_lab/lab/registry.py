"""List what is registered; write the skeleton of a new component."""

import importlib.util
import keyword
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from string import Template

from components import FAMILIES
from components.registry import Component, ComponentError
from mta_lab.config import flatten, plain
from mta_lab.errors import UserError, nearest
from mta_lab.plugins import load_components

SKELETONS = {path.stem: path for path in (Path(__file__).parent / "skeletons").glob("*.txt")}
USES = {
    "attention": "attention={name}",
    "evaluations": "'evaluations=[{name}]'",
    "feed_forward": "model.feed_forward={name}",
    "initialisers": "model.initialiser={name}",
    "kernel_init": "attention='{{name: multi_token, pre_softmax: [{{name: key_query, init: {name}}}]}}'",
    "norms": "attention='{{name: multi_token, norm: {name}}}'",
    "optimizers": "training.optimizer={name}",
    "positions": "model.positions={name}",
    "residual_norms": "model.residual_norms={name}",
    "schedules": "training.schedule={name}",
    "score_ops": "attention='{{name: multi_token, pre_softmax: [{name}]}}'",
    "tasks": "task={name} model.vocabulary=18",
}
"""family -> the setting that trains its skeleton"""
RUN_BY = {"sitecustomize": "Python", "usercustomize": "Python", "conftest": "pytest", "setup": "pip"}


def registered(components: Sequence[Path]) -> dict[str, list[tuple[str, str, str]]]:
    """Return the components of each family: name, a line on it, its settings with defaults."""
    load_components(components)
    return {
        family.name: [_described(name, family.get(name)) for name in family.names()] for family in FAMILIES.values()
    }


def write_skeleton(family: str, name: str) -> Path:
    """Write NAME.py here, a component that passes the conformance tests, and return the file.

    Raises:
        UserError: the family or the name is not allowed, or the file exists or cannot be written.
    """
    if family not in SKELETONS:
        raise UserError(f"new: got '{family}'{nearest(family, SKELETONS) or ';'} allowed: {', '.join(SKELETONS)}")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    if not (name.isidentifier() and class_name.isidentifier()) or name.startswith("_") or name.lower() != name:
        raise UserError(f"new: got '{name}', allowed: a lower-case Python name, like key_shift")
    try:
        FAMILIES[family].get(name)
    except ComponentError:
        pass
    else:
        raise UserError(f"new: {family} '{name}' exists already; choose another name")
    file = Path(f"{name}.py")
    if not file.exists() and (owner := _owner(name, class_name)):
        raise UserError(f"new: '{name}' is {owner}; choose another name, like {name}_{family}")
    text = Template(SKELETONS[family].read_text()).substitute(name=name, class_name=class_name)
    try:
        with file.open("x") as out:
            out.write(text)
    except FileExistsError:
        raise UserError(f"new: {file} exists already; choose another name or move it") from None
    except OSError as error:
        raise UserError(f"new: {file} cannot be written: {error.strerror}") from None
    return file


def _owner(name: str, class_name: str) -> str | None:
    """Return what a name belongs to already, or None if a file may have it.

    Such a file would be imported in place of a package, or could not be named in Python or YAML.
    """
    if keyword.iskeyword(name) or keyword.iskeyword(class_name) or name == "null":
        return "a word of Python or YAML"
    if name in RUN_BY:
        return f"a file that {RUN_BY[name]} runs by itself"
    if name in sys.stdlib_module_names:
        return "a module of Python's standard library"
    return "an installed package" if importlib.util.find_spec(name) else None


def _described(name: str, variant: type[Component]) -> tuple[str, str, str]:
    return name, (variant.__doc__ or "").strip().splitlines()[0], _settings(variant)


def _settings(variant: type[Component]) -> str:
    try:
        return "\n".join(f"{key} = {value}" for key, value in flatten(plain(variant())).items() if key != "name") or "-"
    except TypeError:  # a setting without a default
        return "\n".join(field.name for field in fields(variant))
