"""The configuration of a run: its sections, and what holds between them."""

from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import torch

from components.attention import PLAIN, AttentionConfig
from components.attention.insertion import refuse_change
from components.evaluations import Evaluation, TextEvaluation
from components.feed_forward import SWIGLU
from components.initialisers import FAN_IN, names_residual
from components.initialisers.base import RESIDUAL
from components.positions import ROTARY
from components.registry import FAMILIES, LATER
from components.residual_norms import PRE
from components.tasks import LANGUAGE, ExercisedTask, SyntheticTask, TaskConfig
from mta_lab.config.checkpoint import TOKENIZER, InitConfig
from mta_lab.config.placed import placed
from mta_lab.config.sections import BYTE_TOKENS, DataConfig, FixedSeeds, ModelConfig
from mta_lab.config.training import TrainingConfig
from mta_lab.errors import described, place


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides what one run computes."""

    scale: str
    """the name of the scale that sizes come from; a label, it decides nothing by itself"""
    model: ModelConfig
    attention: AttentionConfig = PLAIN
    """the attention variant and its settings, by `attention.name`"""
    task: TaskConfig = LANGUAGE
    """what is learned, and how it is scored"""
    training: TrainingConfig
    data: DataConfig = field(default=DataConfig())
    init: InitConfig = field(default=InitConfig(), metadata=LATER)
    """the weights that it starts from: drawn, or those of a model that somebody has trained"""
    evaluations: tuple[Evaluation, ...] = field(default=(), metadata=LATER)
    """what the model is scored on besides the task's own
    evaluation, at each validation: [token_accuracy]"""
    seed: int = 0
    """initial weights, order of the batches and dropout each have a stream derived from it;
    a sweep says `seeds`"""
    fixed_seeds: FixedSeeds = field(default=FixedSeeds(), metadata=LATER)
    """parts of the run whose seed stays"""
    stream: str = ""
    """runs of another stream share nothing under a seed:
    for a row that is to be as independent as a stranger's"""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed: got {self.seed}, allowed: 0 or more")
        impl = getattr(self.attention, "impl", "auto")
        if not self.training.compiled and impl in ("fused", "sdpa"):
            raise ValueError(f"training: compiled: got false, but attention.impl is '{impl}', a compiled operator")
        if self.training.compile == "graph" and isinstance(self.task, SyntheticTask | ExercisedTask):
            said = f"got 'graph', but batches of the task '{self.task.name}' differ in what is scored"
            raise ValueError(f"training: compile: {said}; allowed: auto, off")
        if others := [one for one in self.evaluations if not isinstance(one, Evaluation)]:
            raise ValueError(f"evaluations: got {others[0]!r}, allowed: evaluations, like (TokenAccuracy(),)")
        if asking := [one for one in self.evaluations if isinstance(one, TextEvaluation)]:
            raise ValueError(
                f"evaluations: got '{asking[0].name}', which asks a finished model (type mta-lab evaluate SWEEP --on "
                f"{asking[0].name}); allowed: evaluations of a validation, like [token_accuracy]"
            )
        metrics = [evaluation.metric.name for evaluation in (self.task.evaluation, *self.evaluations)]
        if twice := [name for name in metrics if metrics.count(name) > 1]:
            raise ValueError(f"evaluations: got '{twice[0]}' twice, allowed: each once, and not the task's own")
        self._check_components()
        if self.init.checkpoint:
            self._check_start()
        if self.reads_text and self.data.tokenizer == "bytes" and self.model.vocabulary != BYTE_TOKENS:
            given = f"got 'bytes' with model.vocabulary={self.model.vocabulary}"
            raise ValueError(f"data: tokenizer: {given}, allowed: model.vocabulary={BYTE_TOKENS} (bytes, end of text)")
        try:
            self.task.check(vocabulary=self.model.vocabulary, context=self.model.context)
        except ValueError as error:
            raise ValueError(f"task: {error}") from error

    def _check_components(self) -> None:
        """Raise ValueError for parts of the model that cannot be built."""
        parts = {
            "attention": self.attention_classes,
            "model: feed_forward": self.feed_forward_classes,
            "model: residual_norms": self.residual_norm_classes,
            "model: initialiser": self._check_initialiser,
        }
        for named, built in parts.items():
            try:
                built()
            except ValueError as error:
                raise ValueError(f"{named}: {error}") from error
            except Exception as error:  # a fault in a component's own code
                raise ValueError(f"{named}: {described(error)} ({place(error)})") from error

    def _check_initialiser(self) -> None:
        """Raise ValueError where model or optimizer are not what the initialiser takes them for."""
        initialiser, optimizer = self.model.initialiser, self.training.optimizer
        if initialiser.sets_rates and not optimizer.scale_free:
            known = [one.name for one in FAMILIES["optimizers"].registered() if getattr(one, "scale_free", False)]
            said = f"whose learning rates do not hold for training.optimizer={optimizer.name}"
            raise ValueError(f"got '{initialiser.name}', {said}; allowed beside it: {', '.join(known)}")
        base = self.model.base  # which can be built, too
        _attention_classes(self.attention, base)
        _feed_forward_classes(base)
        if initialiser.reads_residual and (part := _silent_part(self.attention, self.model)):
            said = f"but the {part} does not say which of its layers write to the residual stream"
            raise ValueError(f"got '{initialiser.name}', {said}; give its module {RESIDUAL} = ('LAYER',)")

    def _check_start(self) -> None:
        """Raise ValueError for what a run from a checkpoint cannot have."""
        if self.reads_text and self.data.tokens is None and self.data.tokenizer_file is None:
            typed = f"mta-lab data import SOURCE --tokenizer {self.init.checkpoint}/{TOKENIZER} --to DIR"
            said = "got no tokens, which are to be those of the checkpoint's own tokenizer"
            raise ValueError(f"data: {said}; type `{typed}`, and set data.tokens=DIR")
        if self.model.attention_width != self.model.width:
            said = f"got {self.model.head_width}, allowed for a checkpoint: {self.model.width // self.model.heads}"
            raise ValueError(f"model: head_width: {said}, which is width / heads")
        if not (positions := self.model.positions).follow(ROTARY):
            raise ValueError(f"model: positions: got '{positions.name}', allowed for a checkpoint: rotary ones")
        if self.model.feed_forward != SWIGLU:
            said = f"got '{self.model.feed_forward.name}', allowed for a checkpoint: '{SWIGLU.name}' of the usual size"
            raise ValueError(f"model: feed_forward: {said}")
        if self.model.qk_norm:
            raise ValueError("model: qk_norm: got true, allowed for a checkpoint: false, as a Llama has none")
        if self.model.residual_norms != PRE:
            said = f"got '{self.model.residual_norms.name}', allowed for a checkpoint: '{PRE.name}' with RMSNorm"
            raise ValueError(f"model: residual_norms: {said}")
        if self.model.initialiser != FAN_IN:
            said = f"got '{self.model.initialiser.name}', allowed for a checkpoint, whose weights are not drawn"
            raise ValueError(f"model: initialiser: {said}: '{FAN_IN.name}'")
        try:
            refuse_change(PLAIN, self.attention, self.model.layers)
        except ValueError as error:
            raise ValueError(f"attention: {error}") from error

    def seed_of(self, part: Literal["init", "data", "dropout"]) -> int:
        """Return the seed of a part of the run: its own, where that is fixed."""
        own = getattr(self.fixed_seeds, part)
        return self.seed if own is None else int(own)

    @property
    def always_the_same(self) -> bool:
        """Return whether the run draws the same random numbers under every seed."""
        fixed = self.fixed_seeds
        drops = fixed.dropout is None and self.attention.dropout > 0
        return fixed.init is not None and fixed.data is not None and not drops

    @property
    def draws(self) -> str:
        """Return the stream of its batches and its dropout."""
        return self.stream

    @property
    def reads_text(self) -> bool:
        """Return whether the task reads the text of `data`; synthetic tasks make sequences."""
        return not isinstance(self.task, SyntheticTask)

    def unread_text(self) -> str:
        """Return the key of a setting about text where the task reads none; else nothing."""
        data = self.data
        said = {
            "corpus": data.corpus != DataConfig.corpus,
            "path": data.path,
            "tokens": data.tokens,
            "tokenizer": data.tokenizer != DataConfig.tokenizer,
            "mixture": data.mixture,
        }
        return next((f"data.{name}" for name, one in said.items() if one and not self.reads_text), "")

    @property
    def context(self) -> int:
        """Tokens of a training sequence; a synthetic task says its own."""
        return self.task.context if isinstance(self.task, SyntheticTask) else self.model.context

    @property
    def tokens_per_step(self) -> int:
        """Of an optimizer step."""
        return self.training.batch_size * self.context

    @property
    def training_tokens(self) -> int:
        """Of a whole run, from its drawn weights on."""
        return self.training.steps * self.tokens_per_step

    @property
    def text_tokens(self) -> float:
        """Of a whole run, those in windows of text; exercises take little of each document."""
        return self.training_tokens * (1 - self.task.share if isinstance(self.task, ExercisedTask) else 1)

    def attention_classes(self) -> frozenset[type]:
        """Return the classes of all modules in the attention of every layer.

        Building them runs every check of the variant.
        """
        return _attention_classes(self.attention, self.model)

    def feed_forward_classes(self) -> frozenset[type]:
        """Return the classes of all modules in the feed-forward of every layer.

        Building them runs every check of the variant.
        """
        return _feed_forward_classes(self.model)

    @property
    def pre_norm_scales(self) -> tuple[float, ...]:
        """Return the factor of the norms before the sublayers of each layer."""
        layers = self.model.layers
        return tuple(self.attention.of_layer(layer, layers).pre_norm_scale(layer) for layer in range(1, layers + 1))

    def residual_norm_classes(self) -> frozenset[type]:
        """Return the classes of all modules in the norms of every block, and behind the last one.

        Building them runs every check of the variant.
        """
        return _residual_norm_classes(self.model, self.pre_norm_scales)


@cache  # the runs of a row differ in the seed alone
def _attention_classes(attention: AttentionConfig, model: ModelConfig) -> frozenset[type]:
    with torch.device("meta"):  # takes no memory
        found = [placed(attention, model, layer) for layer in range(1, model.layers + 1)]
    return frozenset(type(inner) for module in found for inner in module.modules())


@cache
def _feed_forward_classes(model: ModelConfig) -> frozenset[type]:
    with torch.device("meta"):
        found = [model.built_feed_forward(layer) for layer in range(1, model.layers + 1)]
    return frozenset(type(inner) for module in found for inner in module.modules())


@cache
def _residual_norm_classes(model: ModelConfig, scales: tuple[float, ...]) -> frozenset[type]:
    with torch.device("meta"):
        found = [model.built_norm(layer, scale) for layer, scale in enumerate(scales, 1)]
        found.append(model.residual_norms.final(width=model.width))
    return frozenset(type(inner) for module in found for inner in module.modules())


@cache
def _silent_part(attention: AttentionConfig, model: ModelConfig) -> str:
    """Return a part of a layer that does not say what it writes to the residual stream, or ''."""
    with torch.device("meta"):
        for layer in range(1, model.layers + 1):
            parts = {"attention": placed(attention, model, layer), "feed_forward": model.built_feed_forward(layer)}
            for name, module in parts.items():
                if not names_residual(module):
                    return f"{name} of layer {layer}"
    return ""
