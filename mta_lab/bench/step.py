"""Measure level `step`: a training step of every variant, beside the paper's Table 9."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from components import FAMILIES
from components.attention import AttentionConfig
from mta_lab.bench.measure import Work, peak_growth, take_turns
from mta_lab.bench.process import Laboratory
from mta_lab.bench.results import Comparison, Contestant, Measure, Say
from mta_lab.config import Layer, RunConfig, command_line, resolve, scale_layer
from mta_lab.devices import own
from mta_lab.errors import UserError, nearest
from mta_lab.model import Decoder, build_model, count_parameters, implementations
from mta_lab.plugins import load_components
from mta_lab.sweep.ledger import published_value
from mta_lab.training.step import random_step

STEP, MEMORY = "step", "memory"
BASELINE = "softmax by sdpa"  # the Transformer as torch computes it: the baseline
TABLE_9 = {
    BASELINE: "table9.transformer",
    "softmax": "table9.transformer",
    "differential": "table9.differential",
    "talking_heads": "table9.talking_heads",
    "multi_token": "table9.multi_token",
}
"""name here -> entry of the paper's four models in the ledger"""
STEPS = 2  # after which memory stays: the first creates the optimizer's state


class Entries:
    """The variants that take part, with their settings; picklable, resolved in every process."""

    def __init__(self, settings: Sequence[str], scale: str, components: Sequence[Path]) -> None:
        self._given = list(settings), scale, list(components)
        load_components(components)
        self._common, self._special = _divided(command_line(settings).values)
        self._scale = scale_layer(scale)
        self.notes = tuple(self._explain())
        self.configs = {BASELINE: self._resolved("softmax", {"attention.impl": "sdpa"})}
        self.configs |= {name: self._resolved(name, {}) for name in self._names()}
        if (precision := self.configs[BASELINE].training.precision) not in ("fp32", "bf16"):
            raise UserError(f"bench step: training.precision: got '{precision}', allowed: fp32, bf16")

    def __reduce__(self) -> tuple[Any, ...]:
        return Entries, self._given  # a config's class may be in a file that must be loaded first

    def _names(self) -> list[str]:
        """Return the paper's models, then the user's own; only NAME with `attention=NAME`."""
        known, only = FAMILIES["attention"].names(), self._special.get("attention")
        if only is not None and only not in known:
            hint = nearest(str(only), known) or ";"
            raise UserError(f"command line: attention: got {only!r}{hint} a bench takes one of: {', '.join(known)}")
        ordered = [name for name in TABLE_9 if name in known] + [name for name in known if name not in TABLE_9]
        return [name for name in ordered if only in (None, name)]

    def _resolved(self, name: str, fixed: Mapping[str, Any]) -> RunConfig:
        special = {key: value for key, value in self._special.items() if _has(name, key)}
        layers = [self._scale, Layer("bench", {"attention": name}), Layer("command line", {**self._common, **special})]
        return resolve([*layers, Layer("bench", fixed)])

    def _explain(self) -> list[str]:
        """Return notes on which variants have each setting of attention.

        Raises:
            UserError: no variant has one of the settings.
        """
        notes, names = [], self._names()
        for key in self._special:
            if key == "attention":
                continue
            having = [name for name in names if _has(name, key)]
            if not having:
                known = sorted({f"attention.{field}" for name in names for field in _fields(name)})
                hint = nearest(key, known) or ";"
                raise UserError(f"command line: {key}: no variant has such a key{hint} known: {', '.join(known)}")
            if len(having) < len(names):
                notes.append(f"{key} is a setting of {', '.join(having)}")
        return notes


def compare(laboratory: Laboratory, entries: Entries, rounds: int | None, say: Say) -> Comparison:
    """Return time and memory of a training step of every variant."""
    configs = entries.configs
    say("steps, in turns", 0, len(configs) + 1)
    times, ran = laboratory.call(_times, entries, rounds)
    contestants = []
    for done, (name, config) in enumerate(configs.items(), start=1):
        say(f"memory of {name}", done, len(configs) + 1)
        contestant = Contestant(
            name=name,
            measures={STEP: times[name], MEMORY: laboratory.call(_memory, entries, name)},
            facts={"parameters": f"{count_parameters(config):,}", "attention computed by": ran[name]},
            published=published(name),
        )
        contestants.append(contestant)
    first = configs[BASELINE]
    sizes = {name: getattr(first.model, name) for name in ("width", "heads", "layers", "context", "vocabulary")}
    settings = {
        "scale": first.scale,
        **sizes,
        "batch": first.training.batch_size,
        "precision": first.training.precision,
    }
    title = f"one training step: {', '.join(f'{key} {value}' for key, value in settings.items())}"
    return Comparison(title=title, settings=settings, contestants=tuple(contestants), notes=entries.notes)


def published(name: str) -> dict[str, float]:
    """Return the paper's ratios to the Transformer in time and memory; none for other variants.

    Time is for the same number of tokens.
    """
    if name not in TABLE_9:
        return {}

    def printed(variant: str, quantity: str) -> float:
        return published_value(TABLE_9[variant], quantity)

    speed, memory = "thousand_tokens_per_second", "memory_gb"
    return {
        STEP: printed(BASELINE, speed) / printed(name, speed),
        MEMORY: printed(name, memory) / printed(BASELINE, memory),
    }


def _divided(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of all variants, and those of attention, which some variants lack."""
    special = {key: value for key, value in values.items() if key.partition(".")[0] == "attention"}
    return {key: value for key, value in values.items() if key not in special}, special


def _has(name: str, key: str) -> bool:
    """Return True if the variant has the setting `key`, like `attention.impl`."""
    return key.split(".")[1:2] != [] and key.split(".")[1] in _fields(name)


def _fields(name: str) -> list[str]:
    variant = FAMILIES["attention"].get(name)
    assert issubclass(variant, AttentionConfig)
    return [field.name for field in fields(variant)]


def _times(entries: Entries, rounds: int | None) -> tuple[dict[str, Measure], dict[str, str]]:
    """Return seconds a step of each variant, in turns, and what computed its attention."""
    models = {name: build_model(config, seed=0) for name, config in entries.configs.items()}
    steps = {name: _step(model, entries.configs[name]) for name, model in models.items()}
    times = take_turns(steps, rounds, own.device())
    return times, {name: " + ".join(implementations(model)) for name, model in models.items()}


def _memory(entries: Entries, name: str) -> Measure:
    """Return the memory that a model and its training add to this process."""
    config = entries.configs[name]
    own.warm_up(own.device())

    def train() -> None:
        step = _step(build_model(config, seed=0), config)
        for _ in range(STEPS):
            step()

    return peak_growth(train)


def _step(model: Decoder, config: RunConfig) -> Work:
    """Return a call of one training step on a batch of random tokens, on the device here."""
    own.set_precision(config.training.precision)
    return random_step(model, config, own.device())
