"""What identifies a run: its canonical form, its fingerprint, and how two runs differ."""

import ast
import hashlib
import inspect
import json
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from components.registry import Component
from mta_lab.config.schema import RunConfig


def plain(value: Any) -> Any:
    """The canonical form: dictionaries, lists and scalars only, a component as a dictionary with its `name`."""
    if is_dataclass(value):
        named = {"name": value.name} if isinstance(value, Component) else {}
        return named | {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """The canonical form with dotted keys; a list of components is numbered, any other list is one value."""
    tree = plain(config)
    if isinstance(tree, dict):
        items = [(f"{prefix}.{key}" if prefix else key, value) for key, value in tree.items()]
    elif isinstance(tree, list) and any(isinstance(item, dict) for item in tree):
        items = [(f"{prefix}.{index}", item) for index, item in enumerate(tree)]
    else:
        return {prefix: tree}
    return {key: leaf for name, value in items for key, leaf in flatten(value, name).items()}


def difference(config: RunConfig, base: RunConfig) -> dict[str, Any]:
    """The flattened settings of `config` that `base` lacks or sets otherwise (seed aside)."""
    ours, theirs = flatten(config), flatten(base)
    return {key: value for key, value in ours.items() if key != "seed" and theirs.get(key, _ABSENT) != value}


_ABSENT = object()


def fingerprint(config: RunConfig, content_hash: str) -> str:
    """16 hex digits over the configuration, the text it reads and the code of the components it touches.

    The scale's name is left out: it is a label. Comments and docstrings do not count as code.
    """
    canonical = plain(config)
    del canonical["scale"], canonical["data"]  # the content hash says what is read
    identity = {"config": canonical, "data": content_hash, "code": component_code(config)}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def component_code(config: RunConfig) -> str:
    """A hash over the source of every component class that the run's attention is made of."""
    classes: set[type] = {type(part) for part in _components(config.attention)}
    classes |= {type(inner) for module in config.attention_modules() for inner in module.modules()}
    files = {_source_file(base) for cls in classes for base in cls.__mro__}
    hashes = sorted(_source_hash(file) for file in files if file)
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


def _components(value: Any) -> Iterator[Component]:
    if isinstance(value, Component):
        yield value
        for field in fields(value):
            yield from _components(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _components(item)


def _source_file(cls: type) -> str | None:
    """The Python file that defines a class; None for torch's and Python's own."""
    package = cls.__module__.partition(".")[0]
    if package == "torch" or package in sys.stdlib_module_names:
        return None
    return inspect.getsourcefile(cls)


@cache
def _source_hash(file: str) -> str:
    """A hash of a Python file's syntax tree, docstrings removed."""
    with open(file, encoding="utf-8") as source:
        tree = ast.parse(source.read())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [item for item in body if not _is_bare_string(item)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_bare_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
