"""Find the settings of runs and sweep files, and the scales, that fit a pattern."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from mta_lab.config import resolve, scale_layer, scales
from mta_lab.config.catalogue import REQUIRED, Section, Setting, run_settings
from mta_lab.errors import UserError, nearest
from mta_lab.lab.conditions import Conditions
from mta_lab.plugins import load_components
from mta_lab.report.sizes import sizes
from mta_lab.sweep.keys import file_keys


def fitting(pattern: str, components: Sequence[Path]) -> list[Section]:
    """Return the settings that fit `pattern`, by section.

    A pattern is a part of a key or of a component's name, or has wildcards, like `model.*`. Where
    no key and no name fits, the settings whose description contains the pattern are returned.

    Raises:
        UserError: no setting fits.
    """
    load_components(components)
    everything = [*run_settings(), *file_keys(), scale_section()]
    found = _named(everything, pattern) or _described(everything, pattern)
    if not found:
        keys = [setting.key for section in everything for setting in section.settings]
        hint = nearest(pattern, [*keys, *(key.rpartition(".")[2] for key in keys)]) or ";"
        raise UserError(f"settings: no key fits '{pattern}'{hint} allowed: a part of a key, like training or model.*")
    return found


def scale_section() -> Section:
    """Return the scales, each with its parameters, its tokens, and its tokens a parameter."""
    lines = {name: sizes([resolve([scale_layer(name)])]) for name in scales()}
    listed = tuple(Setting(name, "a scale", Conditions.scale, "", line) for name, line in lines.items())
    return Section("scales", "Sizes of model, training and data, by name: --scale NAME.", listed)


def default_of(setting: Setting) -> str:
    """Return a setting's default in words."""
    return setting.default if setting.default == REQUIRED else f"default: {setting.default}"


def _named(sections: Sequence[Section], pattern: str) -> list[Section]:
    """Return the settings whose key fits, and all settings of a section whose title does."""
    word = pattern.lower()
    found = [
        section if word in section.title.lower() else _only(section, lambda one: _fits(one, word))
        for section in sections
    ]
    return [section for section in found if section.settings]


def _described(sections: Sequence[Section], pattern: str) -> list[Section]:
    word = pattern.lower()
    found = [_only(section, lambda one: word in one.line.lower()) for section in sections]
    return [section for section in found if section.settings]


def _only(section: Section, fits: Callable[[Setting], bool]) -> Section:
    return replace(section, settings=tuple(filter(fits, section.settings)))


def _fits(setting: Setting, word: str) -> bool:
    return word in setting.key.lower() or fnmatchcase(setting.key.lower(), word)
