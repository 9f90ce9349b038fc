"""The types of a run's configuration.

A field without a default is set by the scale (`scales/*.yaml`).
"""

import math
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal

import torch

from components.attention import PLAIN, AttentionConfig, share_keys
from components.attention.insertion import refuse_change
from components.evaluations import Evaluation, TextEvaluation
from components.optimizers import ADAMW, AdamConstants, OptimizerConfig
from components.registry import LATER
from components.schedules import LINEAR, ScheduleConfig
from components.tasks import LANGUAGE, ExercisedTask, SyntheticTask, TaskConfig
from mta_lab.config.checkpoint import TOKENIZER, InitConfig
from mta_lab.errors import described, place

STEPS = "1 or more, or 0 in a stage"
BARE = {"bare": True}
"""metadata of a component that stands as its name alone where all its settings are at their
default: earlier versions had a text there"""
ADAM = tuple(one.name for one in fields(AdamConstants))
"""settings of `training` that only some optimizers read"""
NO_PART = "no part of the identity"
"""marks a setting of how a run is computed: it changes what
comes out by rounding alone"""
OWN_LOSSES = (
    *("loss", "cross_entropy", "z_loss", "label_smoothing"),
    *("learning_rate", "gradient_norm", "tokens_per_second"),
)
"""names of other curves, which no module's loss may have"""
Precision = Literal["auto", "fp32", "tf32", "bf16"]
Split = Literal["valid", "test"]
LARGEST = {
    "width": 1 << 20,
    "layers": 1 << 12,
    "vocabulary": 1 << 24,
    "context": 1 << 20,
    "feed_forward_multiple": 1 << 20,
}
"""sizes beyond any model;
a slip of the finger would be minutes of planning, or more bytes than can be counted"""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The decoder around the attention (paper, section 4.2, appendix D and Table 7)."""

    width: int
    """D, channels of the residual stream; an even number"""
    layers: int
    """number of decoder blocks"""
    heads: int
    """M, attention heads; a divisor of the width, with an even head width (rotary pairs)"""
    kv_heads: int | None = field(default=None, metadata=LATER)
    """heads of keys and values, a divisor of `heads`, each shared by neighbouring heads
    (grouped-query attention, 2305.13245); not set: each head has its own"""
    vocabulary: int
    """tokens in the vocabulary; the tokenizer is trained to this size,
    that of imported tokens has at most as many, a synthetic task says its own"""
    context: int
    """T, tokens a sequence;
    the longest that the model can read where a synthetic task says how long they are"""
    rope_theta: float = 100_000.0
    """base of the rotary frequencies"""
    feed_forward_multiple: int = 256
    """the SwiGLU width is 8/3 of the model's, rounded up to a multiple of this"""

    def __post_init__(self) -> None:
        sizes = ("width", "layers", "heads", "vocabulary", "context")
        _positive(self, *sizes, "rope_theta", "feed_forward_multiple")
        for name, most in LARGEST.items():
            if getattr(self, name) > most:
                raise ValueError(f"{name}: got {getattr(self, name)}, allowed: at most {most:,}")
        if self.width % 2:
            raise ValueError(f"width: got {self.width}, allowed: an even number")
        if self.width % self.heads or (self.width // self.heads) % 2:
            allowed = [n for n in range(1, self.width // 2 + 1) if self.width % (2 * n) == 0]
            raise ValueError(f"heads: got {self.heads}, allowed for width {self.width}: {allowed}")
        shared = [n for n in range(1, self.heads + 1) if self.heads % n == 0]
        if self.kv_heads is not None and self.kv_heads not in shared:
            raise ValueError(f"kv_heads: got {self.kv_heads}, allowed for {self.heads} heads: {shared}")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The text to read and the part of it to score on; a synthetic task reads no text."""

    corpus: Literal["packages", "stdlib"] = "packages"
    """'packages': real text of seven domains, fetched once;
    'stdlib': the Python library on disk, no network"""
    path: str | None = None
    """your own text instead: a folder with a file DOMAIN.jsonl or a folder DOMAIN for each
    domain; also .ndjson, .json, .txt and .md, and these compressed as .gz, .bz2, .xz or .zst"""
    tokens: str | None = field(default=None, metadata=LATER)
    """a folder of tokens that `mta-lab data import` made, instead of text: its own tokenizer, of
    at most model.vocabulary entries; the paper's scales need one"""
    mixture: dict[str, float] = field(default_factory=dict, hash=False)
    """how often each domain is trained on, like {news: 2, tales: 1}; 0
    leaves it out, and it is still scored. Not set: the paper's shares for the built-in text and
    for tokens of domains that all have its names, the same share for each domain of your own"""
    evaluate: Split = "valid"
    """what is scored: 'valid', or 'test', as much held-out text (or as many
    sequences) that 'valid' never reads: for what was chosen by its scores on 'valid'"""

    def __post_init__(self) -> None:
        if self.path is not None and not self.path.strip():
            raise ValueError(
                f"path: got '{self.path}', allowed: a directory or a file; leave it out for the built-in text"
            )
        if self.tokens is not None:
            self._check_tokens(self.tokens)
        for name, weight in self.mixture.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"mixture: got {weight} for domain '{name}', allowed: 0 or more")
        if self.mixture and not any(self.mixture.values()):
            raise ValueError("mixture: got 0 for every domain, allowed: more than 0 for at least one")

    def _check_tokens(self, given: str) -> None:
        if not given.strip():
            raise ValueError(f"tokens: got '{given}', allowed: a folder that `mta-lab data import` made")
        others = {"path": self.path, "corpus": self.corpus if self.corpus != DataConfig.corpus else None}
        for name, other in others.items():
            if other is not None:
                raise ValueError(f"tokens: got '{given}' beside data.{name}={other}, allowed: one of them")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Optimisation and evaluation (paper, section 4.2 and appendix D).

    AdamW's constants are those of the official configs.
    """

    steps: int
    """optimizer steps; a stage of 0 steps is scored with the weights of its parent as they are"""
    token_share: float = field(default=1.0, metadata={NO_PART: True})
    """share of the tokens to train on, like 0.05: multiplies `steps`, `warmup_steps` and
    `validations` (at least 4 stay) of the scale, or of an earlier layer"""
    batch_size: int
    """sequences a step"""
    learning_rate: float
    """peak learning rate"""
    warmup_steps: int
    """steps of linear warm-up, fewer than `steps`; of a scale that has more, a tenth of `steps`"""
    schedule: ScheduleConfig = field(default=LINEAR, metadata=BARE)
    """the learning rate after warm-up"""
    optimizer: OptimizerConfig = field(default=ADAMW, metadata=LATER)
    """what makes steps of the gradients"""
    validation_tokens: int
    """tokens of each domain's held-out text that are scored;
    a synthetic task says its `held_out` sequences"""
    validations: int = 4
    """how often at most what is held out is scored, at equal
    intervals and at the end; at most `steps`"""
    stop_after: int = field(default=0, metadata=LATER)
    """a run ends after so many validations in a row without a better score than before, fewer than
    `validations`; it is scored where it ends, and the table says so; 0 for never"""
    weight_decay: float = 0.05
    """a step takes this share of each weight away, times the learning rate"""
    no_decay: tuple[Literal["norms", "kernels", "embeddings"], ...] = field(default=(), metadata=LATER)
    """weights that have no weight decay: 'norms' with all biases, gates and other vectors,
    'kernels' of operations on attention maps, 'embeddings'"""
    beta1: float = AdamConstants.beta1
    """AdamW: how much of its mean of gradients a step keeps"""
    beta2: float = AdamConstants.beta2
    """AdamW: how much of its mean of squared gradients a step keeps"""
    epsilon: float = AdamConstants.epsilon
    """AdamW: added to the root of that mean, which divides"""
    gradient_clip: float = 1.0
    """largest norm of the whole gradient"""
    z_loss: float = field(default=0.0, metadata=LATER)
    """weight of the mean square of the logarithm of the softmax's divisor, like 1e-4:
    it keeps logits near 0"""
    label_smoothing: float = field(default=0.0, metadata=LATER)
    """share of each label that is spread evenly over the vocabulary, in training alone"""
    auxiliary: dict[str, float] = field(default_factory=dict, hash=False, metadata=LATER)
    """weights of losses that modules of the model have, by name, like {load_balance: 0.01};
    one without a weight is left out"""
    ema: float = field(default=0.0, metadata=LATER)
    """share that a step keeps of an average of the weights, like 0.999; validations score the
    average, and it is what is kept of a run; 0 for none"""
    precision: Precision = "fp32"
    """'bf16' is autocast; weights and optimizer stay float32; 'tf32' is float32 whose products a
    GPU rounds to 10 bits; 'auto' is the faster of fp32 and bf16, measured once a machine"""
    compiled: bool = True
    """false computes without compiled operators, by torch's own operations:
    slower, equal up to rounding, and with derivatives of every kind"""
    micro_batch: int | Literal["auto"] = field(default="auto", metadata={NO_PART: True})
    """sequences read at a time, a divisor of `batch_size`, for less memory: gradients add up to
    the batch's; 'auto' is all of them, or as many as the memory holds"""
    recompute: Literal["none", "blocks"] = field(default="none", metadata={NO_PART: True})
    """'blocks' stores no activations inside a decoder block and computes them anew for its
    gradient: less memory, a third more work"""
    deterministic: bool = field(default=False, metadata={NO_PART: True})
    """true has a GPU compute the same bits each time, also where a run is resumed: slower, and
    equal up to rounding to what it computes without; a CPU does so anyway"""

    @property
    def reads_logits(self) -> bool:
        """Return whether a step makes the logits of all its positions at once."""
        return bool(self.z_loss or self.label_smoothing)

    @property
    def adam(self) -> AdamConstants:
        """Return AdamW's constants, for the optimizers that read them."""
        return AdamConstants(**{name: getattr(self, name) for name in ADAM})

    @property
    def sequences_a_pass(self) -> int:
        """Return how many sequences are read at a time; while `micro_batch` is 'auto', all."""
        return self.batch_size if self.micro_batch == "auto" else self.micro_batch

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ValueError(f"steps: got {self.steps}, allowed: {STEPS}")
        _positive(self, "batch_size", "learning_rate", "validation_tokens", "validations", "gradient_clip")
        if not 0 < self.token_share <= 1:
            raise ValueError(f"token_share: got {self.token_share}, allowed: more than 0, at most 1")
        self._check_losses()
        self._check_optimizer()
        self._check_steps()
        if self.micro_batch != "auto" and (self.micro_batch < 1 or self.batch_size % self.micro_batch):
            divisors = [n for n in range(1, self.batch_size + 1) if self.batch_size % n == 0]
            allowed = f"'auto', or a divisor of batch_size ({self.batch_size}): {divisors}"
            raise ValueError(f"micro_batch: got {self.micro_batch}, allowed: {allowed}")

    def _check_losses(self) -> None:
        if not 0 <= self.z_loss < math.inf:
            raise ValueError(f"z_loss: got {self.z_loss}, allowed: 0 or more")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing: got {self.label_smoothing}, allowed: 0 <= label_smoothing < 1")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema: got {self.ema}, allowed: 0 <= ema < 1")
        for name, weight in self.auxiliary.items():
            if not 0 <= weight < math.inf or name in OWN_LOSSES:
                allowed = "another name" if name in OWN_LOSSES else "a number, 0 or more"
                raise ValueError(f"auxiliary: got {weight} for '{name}', allowed: {allowed}")

    def _check_optimizer(self) -> None:
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay: got {self.weight_decay}, allowed: 0 or more")
        if len({*self.no_decay}) < len(self.no_decay):
            raise ValueError(f"no_decay: got {list(self.no_decay)}, allowed: each once")
        _positive(self, "epsilon")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, allowed: 0 <= {name} < 1")
        for name in () if self.optimizer.reads_adam else ADAM:
            if getattr(self, name) != getattr(AdamConstants, name):
                said = f"which the optimizer '{self.optimizer.name}' does not read; leave it out"
                raise ValueError(f"{name}: got {getattr(self, name)}, {said}")

    def _check_steps(self) -> None:
        if self.warmup_steps < 0:
            raise ValueError(f"warmup_steps: got {self.warmup_steps}, allowed: 0 or more")
        if self.warmup_steps > max(0, self.steps - 1):
            fewer = f"fewer than steps ({self.steps}); for example training.warmup_steps={self.steps // 10}"
            raise ValueError(f"warmup_steps: got {self.warmup_steps}, allowed: {fewer}")
        if self.validations > max(1, self.steps):
            most = f"at most steps ({self.steps}); for example training.validations=1"
            raise ValueError(f"validations: got {self.validations}, allowed: {most}")
        if not 0 <= self.stop_after < self.validations:
            raise ValueError(f"stop_after: got {self.stop_after}, allowed: 0 to {self.validations - 1}")


@dataclass(frozen=True, kw_only=True)
class FixedSeeds:
    """Parts of a run whose random numbers stay the same under every seed; the others follow it."""

    init: int | None = field(default=None, metadata=LATER)
    """seed of the initial weights"""
    data: int | None = field(default=None, metadata=LATER)
    """seed of the order of the batches, or of a synthetic task's sequences"""
    dropout: int | None = field(default=None, metadata=LATER)
    """seed of dropout, and of what else a component draws in training"""

    def __post_init__(self) -> None:
        for name, seed in vars(self).items():
            if seed is not None and seed < 0:
                raise ValueError(f"{name}: got {seed}, allowed: 0 or more")


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
    data: DataConfig = DataConfig()
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
        try:
            self.attention_classes()
        except ValueError as error:
            raise ValueError(f"attention: {error}") from error
        except Exception as error:  # a fault in a component's own code
            raise ValueError(f"attention: {described(error)} ({place(error)})") from error
        if self.init.checkpoint:
            self._check_start()
        try:
            self.task.check(vocabulary=self.model.vocabulary, context=self.model.context)
        except ValueError as error:
            raise ValueError(f"task: {error}") from error

    def _check_start(self) -> None:
        """Raise ValueError for what a run from a checkpoint cannot have."""
        if self.reads_text and self.data.tokens is None:
            typed = f"mta-lab data import SOURCE --tokenizer {self.init.checkpoint}/{TOKENIZER} --to DIR"
            said = "got no tokens, which are to be those of the checkpoint's own tokenizer"
            raise ValueError(f"data: {said}; type `{typed}`, and set data.tokens=DIR")
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
        model = self.model
        return _attention_classes(self.attention, model.width, model.heads, model.layers, model.kv_heads)


@cache  # the runs of a row differ in the seed alone
def _attention_classes(
    attention: AttentionConfig, width: int, heads: int, layers: int, kv_heads: int | None
) -> frozenset[type]:
    with torch.device("meta"):  # takes no memory
        found = [
            attention.build(width=width, heads=heads, layer=layer, layers=layers) for layer in range(1, layers + 1)
        ]
        if kv_heads is not None:
            for module in found:
                share_keys(module, kv_heads)
    return frozenset(type(inner) for module in found for inner in module.modules())


def _positive(config: Any, *names: str) -> None:
    for name in names:
        if not 0 < getattr(config, name) < math.inf:
            kind = next(one.type for one in fields(config) if one.name == name)
            least = "1 or more" if kind is int else "more than 0"
            raise ValueError(f"{name}: got {getattr(config, name)}, allowed: {least}")
