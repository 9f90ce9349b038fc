"""Pages for a browser: one file each, with all that it shows in it; no script, no request to anywhere."""

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
    """Return the template, named by its path in the package, with these values; text in them is escaped."""
    return _TEMPLATES.get_template(template).render(values)
