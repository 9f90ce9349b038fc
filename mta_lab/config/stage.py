"""A stage: a run that starts from the weights of another one, its parent, with other settings."""

from dataclasses import dataclass, fields, replace
from typing import Any

from components.attention import PLAIN, AttentionConfig
from mta_lab.config.schema import RunConfig


@dataclass(frozen=True, kw_only=True)
class StageConfig(RunConfig):
    """A run that starts from the weights of its parent, with a new optimizer."""

    parent: RunConfig
    """the run that it starts from, perhaps a stage itself"""

    @property
    def training_tokens(self) -> int:
        """Of its whole chain."""
        return self.parent.training_tokens + super().training_tokens

    @property
    def draws(self) -> str:
        """Return a stream that the parent has not drawn from: it has read those batches."""
        return f"{self.parent.draws}/next"


def started_from(parent: RunConfig, config: RunConfig) -> StageConfig:
    """Return a configuration as that of a stage which starts from `parent`."""
    return StageConfig(**{field.name: getattr(config, field.name) for field in fields(RunConfig)}, parent=parent)


def parent_of(config: RunConfig) -> RunConfig | None:
    """Return the run that a stage starts from; None of a run that starts from drawn weights."""
    return config.parent if isinstance(config, StageConfig) else None


def attention_before(config: RunConfig) -> AttentionConfig | None:
    """Return the attention of what a run starts from; None where its weights are drawn."""
    if parent := parent_of(config):
        return parent.attention
    return PLAIN if config.init.checkpoint else None


def chain_of(config: RunConfig) -> list[RunConfig]:
    """Return the runs that lead to this one, itself the last: one for a run without stages."""
    parent = parent_of(config)
    return [*(chain_of(parent) if parent else ()), config]


def throughout(config: RunConfig, **settings: Any) -> RunConfig:
    """Return the run with other settings in its whole chain: `seed`, or `stream`."""
    if isinstance(config, StageConfig):
        return replace(config, **settings, parent=throughout(config.parent, **settings))
    return replace(config, **settings)
