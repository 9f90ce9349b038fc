"""The settings that fit a pattern, of runs and of sweep files."""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from mta_lab.config.catalogue import REQUIRED, Section, Setting, run_settings
from mta_lab.errors import UserError, nearest
from mta_lab.plugins import load_components
from mta_lab.sweep.keys import file_keys


def fitting(pattern: str, components: Sequence[Path]) -> list[Section]:
    """Return the sections with the settings that fit `pattern`: a part of a key or of a line, or like model.*.

    Raises UserError where none fits.
    """
    load_components(components)
    everything = [*run_settings(), *file_keys()]
    found = [fitting for section in everything if (fitting := _fitting(section, pattern)).settings]
    if not found:
        keys = [setting.key for section in everything for setting in section.settings]
        hint = nearest(pattern, [*keys, *(key.rpartition(".")[2] for key in keys)]) or ";"
        raise UserError(f"settings: no key fits '{pattern}'{hint} allowed: a part of a key, like training or model.*")
    return found


def default_of(setting: Setting) -> str:
    """Return a setting's default in words."""
    return setting.default if setting.default == REQUIRED else f"default: {setting.default}"


def _fitting(section: Section, pattern: str) -> Section:
    """Return the section with the settings that fit: all of them where its title does."""
    if pattern.lower() in section.title.lower():
        return section
    return replace(section, settings=tuple(setting for setting in section.settings if _fits(setting, pattern)))


def _fits(setting: Setting, pattern: str) -> bool:
    return fnmatchcase(setting.key, pattern) or pattern.lower() in f"{setting.key} {setting.line}".lower()
