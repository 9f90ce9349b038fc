"""Load a finished run as a model: the settings of its record with the weights that were kept."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from components.attention import Attention
from components.kernels.base import MapOps
from components.kernels.substitute import set_compiled
from components.score_ops import ScoreOp
from mta_lab.config import Layer, RunConfig, fingerprint, resolve, started_from
from mta_lab.errors import UserError, described
from mta_lab.model import Decoder
from mta_lab.results.records import Record, Records
from mta_lab.training import tensors
from mta_lab.workspace import in_shell

Place = Literal["before", "after"]
"""place of an operation: before or after the softmax"""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished run with its model."""

    record: Record
    config: RunConfig
    model: Decoder
    """the model, on the CPU in evaluation mode"""

    def layers(self) -> Iterator[tuple[int, Attention]]:
        """Yield (layer, attention) of the layers with operations on a map; layers count from 1."""
        for layer, block in enumerate(self.model.blocks, start=1):
            attention = block.get_submodule("attention")
            if isinstance(attention, Attention) and attention.map_ops() is not None:
                yield layer, attention

    @property
    def name(self) -> str:
        """Return the title of the run's pictures."""
        task = "" if self.config.reads_text else f", {self.config.task.name}"
        score = self.record.score
        metric = self.record.metric
        scored = f"{metric.words} {metric.written(score)}{metric.unit and ' ' + metric.unit}"
        name = f"{self.config.attention.name}{task}, {self.config.scale}, seed {self.config.seed}"
        return f"{name}: {scored}, run {self.record.fingerprint}"

    @property
    def current(self) -> bool:
        """Return True if the code of its components is what it was trained with."""
        found = self.record
        return fingerprint(self.config, found.content_hash, found.parent) == found.fingerprint


def load(record: Record, records: Records) -> Trained:
    """Return the run of `record` with its model.

    Raises:
        UserError: no weights were kept, or they cannot be read; the message says what to type.
    """
    path, run = records.weights(record.fingerprint), records.file(record.fingerprint)
    remedy = f"type `rm {in_shell(run)}`; the command that trained the run then trains it again and keeps them"
    if not path.exists():
        raise UserError(
            f"{path}: is missing: an earlier version finished this run, or its weights were deleted; {remedy}"
        )
    config = config_of(record.config, str(run))
    model = set_compiled(Decoder(config.model, config.attention), config.training.compiled)
    try:
        model.load_state_dict(tensors.read(path))
    except Exception as error:  # a damaged file may raise anything
        raise UserError(f"{path}: cannot be read ({described(error)}); {remedy}") from None
    return Trained(record=record, config=config, model=model.eval())


def config_of(recorded: Mapping[str, Any], source: str) -> RunConfig:
    """Return the configuration that a record has in its canonical form.

    Raises:
        UserError: no run can have it, with `source`.
    """
    own = {key: value for key, value in recorded.items() if key != "parent"}
    if "parent" not in recorded:
        return resolve([Layer(source, own)], fewest_steps=0 if "init" in own else 1)
    return started_from(config_of(recorded["parent"], source), resolve([Layer(source, own)], fewest_steps=0))


def operations(attention: Attention) -> list[tuple[Place, ScoreOp]]:
    """Return the operations on a layer's map in order; none if the variant has no map."""
    ops = attention.map_ops() or MapOps()
    places: list[tuple[Place, Sequence[ScoreOp]]] = [("before", ops.pre), ("after", ops.post)]
    return [(place, op) for place, acting in places for op in acting]


def other_norms(run: Trained, records: Records) -> list[Trained]:
    """Return the runs of today's code that differ from `run` only in the norm, by name of the norm.

    A run whose weights are gone or damaged, or whose component is not loaded, is left out.
    """
    ours, same = run.record, _without_norm(run.record.config)
    found = []
    for record in records.all_finished():
        alike = record.content_hash == ours.content_hash and _without_norm(record.config) == same
        if alike and record.config["attention"].get("norm") != ours.config["attention"].get("norm"):
            with suppress(UserError):
                found.append(load(record, records))
    return sorted((other for other in found if other.current), key=norm_of)


def norm_of(run: Trained) -> str:
    """Return the name of a run's norm, or of its variant where that has no setting for one."""
    norm = run.record.config["attention"].get("norm")
    return "norm " + ", ".join(map(str, norm.values())) if norm else run.config.attention.name


def _without_norm(config: Mapping[str, Any]) -> dict[str, Any]:
    attention = {key: value for key, value in config["attention"].items() if key != "norm"}
    return {**config, "attention": attention}
