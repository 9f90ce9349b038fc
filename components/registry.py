"""The registry: a family for each kind of component, a frozen config class for each variant.

A component is a frozen, keyword-only dataclass. Its fields are what a sweep can set, and its
`build` makes the torch module. The class that opens a family is marked `family="..."`; variants
subclass it under `@register(name)`.
"""

import dataclasses
import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar, Protocol, Self, TypeVar, dataclass_transform, get_args, get_type_hints

from components.hints import WRITABLE, changeable, fits, readable, shown, writable

C = TypeVar("C", bound="Component")
SIZES = ("width", "model_width", "multiple", "heads", "layers", "layer")
"""arguments of `build` that are whole numbers from 1; of `layers` layers, `layer` is one"""
NAME, RESERVED = re.compile(r"[^\W\d][\w.-]*"), ("null", "true", "false")
"""a variant's name is a text wherever it is written:
YAML reads others as numbers, or as no value"""
OURS = ("name", "family", "exempt")
"""what a variant has that is no setting"""
LATER = {"later": True}
"""metadata of a setting that earlier versions did not have: a run's canonical form leaves it out
while it is its default, so that runs of before stay the same"""
BESIDE = "beside"
"""key of a component's setting in metadata: a run's canonical form has it beside the component, by
the name under this key, as earlier versions did; it stays where another component that has it is
named"""
UNHASHED = "write a tuple instead of a list, and for a mapping: field(default_factory=dict, hash=False)"
SIZED = ("build", "of_layer", "on_layer", "pre_norm_scale")
"""methods that take some of them"""


class ComponentError(ValueError):
    """A name that is unknown or taken, or a setting that a component cannot have."""


class TakenError(ComponentError):
    """A name that is registered already: `name` of `family`."""

    def __init__(self, family: str, name: str, places: str) -> None:
        super().__init__(f"{family} '{name}' is registered twice: {places}")
        self.family, self.name = family, name


class Plugins(Protocol):
    """Variants that are registered when a name is asked for that nobody knows, and not before."""

    def load(self) -> Sequence[str]:
        """Register them, once; return what is wrong with those that failed."""

    def warn(self) -> None:
        """Say once of those that failed that they are skipped."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Component:
    """The settings of one variant. Subclass a family's base, not this class.

    Settings of a wrong type, and sizes that no model has, are refused here for every variant: what
    a variant checks itself, in `__post_init__` or `build`, has the right type.
    """

    name: ClassVar[str] = ""
    family: ClassVar[str] = ""
    exempt: ClassVar[dict[str, str]] = {}
    """conformance tests that the variant cannot pass by nature: name of the test -> the reason"""

    def __new__(cls, *positional: Any, **settings: Any) -> Self:
        types = _types(cls)  # type: ignore[arg-type]  # a class is hashable
        for name, value in settings.items():
            if name in types:  # others are refused by the constructor
                _check_type(name, types[name], value)
        return super().__new__(cls)

    def __init_subclass__(cls, family: str | None = None) -> None:
        super().__init_subclass__()
        for name in SIZED:
            if inspect.isfunction(method := vars(cls).get(name)):
                setattr(cls, name, _sized(method))
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
        """Store `variant` under `name`; raise ComponentError naming both places if it is taken."""
        if name in self._variants:
            taken = self._variants[name]
            raise TakenError(self.name, name, f"in {_place(taken)} and in {_place(variant)}")
        if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
            said = f"got {name!a} as a name of {self.name}, allowed: a letter, then letters, digits, _ - ."
            raise ComponentError(f"{_place(variant)}: {said}")
        if not dataclasses.is_dataclass(variant) or not (variant.__doc__ or "").strip():
            raise ComponentError(f"{_place(variant)}: '{name}' needs a docstring that says what it is")
        variant.name = name
        self._variants[name] = variant

    def get(self, name: str) -> type[Component]:
        """Return the variant's config class; raise ComponentError with the nearest name if unknown.

        Plugins are loaded if no variant that is known has the name.
        """
        if name in self._variants:
            return self._variants[name]
        failed = _plugins[0].load() if _plugins else ()
        if name in self._variants:
            _warn()
            return self._variants[name]
        raise _unknown(self.name, name, self._variants, failed)

    def names(self) -> list[str]:
        """Return all names, sorted, those of plugins among them."""
        load_plugins()
        return sorted(self._variants)

    def registered(self) -> list[type[Component]]:
        """Return the variants that are known without loading plugins, by name."""
        return [self._variants[name] for name in sorted(self._variants)]

    def remove(self, name: str) -> None:
        """Forget a variant."""
        del self._variants[name]


FAMILIES: dict[str, Family] = {}
TABLES: list[dict[str, Any]] = [FAMILIES]
"""what defining or registering a component adds to, beside its family"""
_plugins: list[Plugins] = []  # one at most


def use_plugins(plugins: Plugins) -> None:
    """Look for unknown names in `plugins` from now on."""
    _plugins[:] = [plugins]


def load_plugins() -> None:
    """Register what plugins hold, if there are any, and warn of those that failed."""
    if _plugins:
        _plugins[0].load()
        _warn()


def _unknown(kind: str, name: str, known: Iterable[str], failed: Sequence[str] = ()) -> ComponentError:
    """Return the error for a name that is not among those known, with the nearest of these."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    return ComponentError("; ".join([f"no {kind} named '{name}'{hint}", f"known: {', '.join(known)}", *failed]))


def _warn() -> None:
    if _plugins:
        _plugins[0].warn()


def remembered() -> Callable[[], None]:
    """Return what forgets all that is registered from now on."""
    tables = [*TABLES, *(family._variants for family in FAMILIES.values())]
    before = [dict(table) for table in tables]

    def restore() -> None:
        for table, entries in zip(tables, before, strict=True):
            table.clear()
            table.update(entries)

    return restore


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """Forget what the block registered if it raises."""
    restore = remembered()
    try:
        yield
    except BaseException:
        restore()
        raise


@dataclass_transform(frozen_default=True, kw_only_default=True)
def register(family: str, name: str) -> Callable[[type[C]], type[C]]:
    """Make a class a frozen dataclass and register it: `@register("norms", "gate")`."""
    if family not in FAMILIES:
        import_module("components.shipped")  # opens the families
    if family not in FAMILIES:
        raise _unknown("family", family, FAMILIES)

    def decorate(cls: type[C]) -> type[C]:
        if not issubclass(cls, FAMILIES[family].base):
            raise ComponentError(f"{_place(cls)}: '{name}' must subclass {FAMILIES[family].base.__name__}")
        missing = [one for one in dir(cls) if getattr(getattr(cls, one), "__isabstractmethod__", False)]
        if missing:
            raise ComponentError(
                f"{_place(cls)}: '{name}' needs {' and '.join(missing)}, as {FAMILIES[family].base.__name__} says"
            )
        documented = cls.__doc__
        config = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        if taken := [one.name for one in dataclasses.fields(config) if one.name in OURS]:
            said = f"'{name}' has a setting '{taken[0]}', which means something else; rename it"
            raise ComponentError(f"{_place(cls)}: {said}")
        config.__doc__ = documented  # not the signature that dataclass writes where there is none
        FAMILIES[family].add(name, config)
        return config

    return decorate


def check_sizes(**sizes: Any) -> None:
    """Raise ComponentError for a size, a layer, or a number of heads or layers of no model."""
    for name in SIZES:
        most = sizes.get("layers") if name == "layer" else None
        value = sizes.get(name, 1)
        if not fits(int, value) or value < 1 or (most is not None and value > most):
            allowed = "a whole number, 1 or more" if most is None else f"1 to layers ({most})"
            raise ComponentError(f"{name}: got {shown(value)}, allowed: {allowed}")


def _sized(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method with a check of its sizes before it."""
    names = list(inspect.signature(method).parameters)

    @functools.wraps(method)
    def checked(*given: Any, **sizes: Any) -> Any:
        check_sizes(**dict(zip(names[1:], given[1:], strict=False)), **sizes)
        return method(*given, **sizes)

    return checked


@functools.cache
def _types(cls: type[Component]) -> dict[str, Any]:
    """Return the type of each setting, and refuse a default that has another."""
    settings = dataclasses.fields(cls)
    try:
        hints = get_type_hints(cls)
    except Exception as error:
        raise ComponentError(f"{_place(cls)}: the type of a setting cannot be read: {error}") from error
    for one in settings:
        if not writable(hints[one.name]):
            said = f"the type of {one.name} is {readable(hints[one.name])}, which no sweep file can hold"
            raise ComponentError(f"{_place(cls)}: {said}; allowed: {WRITABLE}")
        if (one.compare if one.hash is None else one.hash) and changeable(hints[one.name]):
            said = f"the setting {one.name} holds a list or a mapping, and a component is looked up by its settings"
            raise ComponentError(f"{_place(cls)}: {said}; {UNHASHED}")
        if one.default is not dataclasses.MISSING:
            _check_type(f"{_place(cls)}: the default of {one.name}", hints[one.name], one.default)
    return {one.name: hints[one.name] for one in settings}


def _check_type(name: str, hint: Any, value: Any) -> None:
    if not fits(hint, value):
        raise ComponentError(f"{name}: got {shown(value)}, allowed: {readable(hint)}{_meant(hint, value)}")


def _meant(hint: Any, value: Any) -> str:
    """Return in words how to write the component that `value` stands for.

    `value` is a name, a class, or one component without its tuple.
    """
    base, *others = get_args(hint) or (hint,)
    family = FAMILIES.get(getattr(base, "family", ""))
    if family is None or not family.names():
        return ""
    item = value[0] if isinstance(value, list | tuple) and value else value
    cls = item if isinstance(item, type) else type(item)
    if item not in family.names() if isinstance(item, str) else not issubclass(cls, family.base):
        item = family.names()[0]
    call = f"{(family.get(item) if isinstance(item, str) else cls).__name__}()"
    return f", like ({call},)" if others else f", like {call}"


def _place(cls: type) -> str:
    try:
        return f"{inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        return cls.__qualname__
