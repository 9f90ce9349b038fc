"""Configurations as OmegaConf trees, for notebooks and for a run's `config.yaml`."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf


def as_tree(config: Mapping[str, Any]) -> DictConfig:
    """Return a plain configuration as a read-only tree with attributes: `tree.model.width`."""
    return OmegaConf.create(dict(config), flags={"readonly": True})


def as_yaml(config: Mapping[str, Any]) -> str:
    """Return a plain configuration as YAML, which `OmegaConf.load` reads back."""
    return str(OmegaConf.to_yaml(as_tree(config)))


def from_tree(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a mapping, an OmegaConf tree's as it is written.

    The reader refuses `${...}`.
    """
    if isinstance(given, DictConfig):
        found = OmegaConf.to_container(given, resolve=False)
        return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}
    return dict(given)
