"""The YAML files of `sweeps/` and of users."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mta_lab.errors import UserError

SHIPPED = resources.files("sweeps")


def read_yaml(path: Any, source: str) -> Mapping[str, Any]:
    """The mapping in a YAML file; what is none is a UserError that calls the file `source`."""
    try:
        values = OmegaConf.to_container(OmegaConf.create(path.read_text(encoding="utf-8")), resolve=True)
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror}") from None
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise UserError(f"{source}: not a YAML file that can be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, Mapping):
        raise UserError(f"{source}: allowed: a mapping with title, about, base, baseline, rows and the like")
    return {str(key): value for key, value in values.items()}
