"""The registry: a family for each kind of component, a frozen config class for each variant.

A component is a frozen, keyword-only dataclass. Its fields are what a sweep can set, and its `build` makes the
torch module. The class that opens a family is marked `family="..."`; variants subclass it under `@register(name)`.
"""

import dataclasses
import difflib
import inspect
from collections.abc import Callable
from typing import ClassVar, TypeVar, dataclass_transform

C = TypeVar("C", bound="Component")


class ComponentError(ValueError):
    """A name that is unknown or taken, or a setting that a component cannot have."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Component:
    """The settings of one variant. Subclass a family's base, not this class."""

    name: ClassVar[str] = ""
    family: ClassVar[str] = ""
    exempt: ClassVar[dict[str, str]] = {}
    """conformance tests that the variant cannot pass by nature: name of the test -> the reason"""

    def __init_subclass__(cls, family: str | None = None) -> None:
        super().__init_subclass__()
        if family is not None:
            if family in FAMILIES:
                raise ComponentError(f"{_place(cls)}: there is a family '{family}' already; register variants in it")
            cls.family = family
            FAMILIES[family] = Family(family, cls)


class Family:
    """The variants of one kind, by name."""

    def __init__(self, name: str, base: type[Component]) -> None:
        self.name = name
        self.base = base
        self._variants: dict[str, type[Component]] = {}

    def add(self, name: str, variant: type[Component]) -> None:
        """Store `variant` under `name`; a name already taken is a ComponentError naming both places."""
        if name in self._variants:
            taken = self._variants[name]
            raise ComponentError(
                f"{self.name} '{name}' is registered twice: in {_place(taken)} and in {_place(variant)}"
            )
        if not dataclasses.is_dataclass(variant) or not (variant.__doc__ or "").strip():
            raise ComponentError(f"{_place(variant)}: '{name}' needs a docstring that says what it is")
        variant.name = name
        self._variants[name] = variant

    def get(self, name: str) -> type[Component]:
        """Return the variant's config class; an unknown name is a ComponentError with the nearest one."""
        try:
            return self._variants[name]
        except KeyError:
            close = difflib.get_close_matches(name, self._variants, n=1, cutoff=0.5)
            hint = f" (did you mean '{close[0]}'?)" if close else ""
            known = ", ".join(self.names())
            raise ComponentError(f"no {self.name} named '{name}'{hint}; known: {known}") from None

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._variants)


FAMILIES: dict[str, Family] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def register(family: str, name: str) -> Callable[[type[C]], type[C]]:
    """Class decorator: make the class a frozen dataclass and register it, `@register("norms", "gate")`."""
    if family not in FAMILIES:
        close = difflib.get_close_matches(family, FAMILIES, n=1, cutoff=0.5)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        raise ComponentError(f"no family named '{family}'{hint}; known: {', '.join(sorted(FAMILIES))}")

    def decorate(cls: type[C]) -> type[C]:
        if not issubclass(cls, FAMILIES[family].base):
            raise ComponentError(f"{_place(cls)}: '{name}' must subclass {FAMILIES[family].base.__name__}")
        documented = cls.__doc__
        config = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        config.__doc__ = documented  # not the signature that dataclass writes where there is none
        FAMILIES[family].add(name, config)
        return config

    return decorate


def _place(cls: type) -> str:
    try:
        return f"{inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        return cls.__qualname__
