"""Configurations as OmegaConf trees: what notebooks look at and hand in, and what `config.yaml` of a run holds."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf


def as_tree(config: Mapping[str, Any]) -> DictConfig:
    """Return a plain configuration as a tree that nobody can change; its keys are attributes: `tree.model.width`."""
    return OmegaConf.create(dict(config), flags={"readonly": True})


def as_yaml(config: Mapping[str, Any]) -> str:
    """Return a plain configuration as YAML, which `OmegaConf.load` reads back."""
    return str(OmegaConf.to_yaml(as_tree(config)))


def from_tree(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a mapping, an OmegaConf tree's as it is written: `${...}` is for the reader to refuse."""
    if isinstance(given, DictConfig):
        found = OmegaConf.to_container(given, resolve=False)
        return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}
    return dict(given)
