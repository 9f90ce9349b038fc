"""Fill templates of pages: one file each, without scripts or requests to anywhere."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def filled(template: str, **values: Any) -> str:
    """Return a filled template, named by its path in the package; texts in it are escaped."""
    return _TEMPLATES.get_template(template).render(values)
