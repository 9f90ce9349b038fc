"""The section of a run's configuration that says how it is trained.

A field without a default is set by the scale (`scales/*.yaml`).
"""

import math
from dataclasses import dataclass, field, fields
from typing import Literal

from components.optimizers import ADAMW, AdamConstants, OptimizerConfig
from components.optimizers.base import check_share
from components.registry import LATER
from components.schedules import LINEAR, ScheduleConfig
from mta_lab.config.sections import positive

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
    "loss",
    "cross_entropy",
    "z_loss",
    "label_smoothing",
    "learning_rate",
    "gradient_norm",
    "tokens_per_second",
    "loss_scale",
    "skipped_steps",
)
"""names of other curves, which no module's loss may have"""
Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]


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
    """'bf16' is autocast, as is 'fp16', which scales the loss and is for GPUs alone; weights and
    optimizer stay float32; 'tf32' is float32 whose products a GPU rounds to 10 bits; 'auto' is the
    faster of fp32 and bf16, measured once a machine"""
    compiled: bool = True
    """false computes without compiled operators, by torch's own operations:
    slower, equal up to rounding, and with derivatives of every kind"""
    compile: Literal["auto", "off", "graph"] = field(default="auto", metadata=LATER)
    """'graph' has a GPU start all kernels of a step at once, as CUDA graphs, in place of one by
    one: equal up to rounding; 'auto' is 'off' as long as graphs have not been measured"""
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
        positive(self, "batch_size", "learning_rate", "validation_tokens", "validations", "gradient_clip")
        if not 0 < self.token_share <= 1:
            raise ValueError(f"token_share: got {self.token_share}, allowed: more than 0, at most 1")
        self._check_losses()
        self._check_optimizer()
        self._check_steps()
        self._check_graph()
        if self.micro_batch != "auto" and (self.micro_batch < 1 or self.batch_size % self.micro_batch):
            divisors = [n for n in range(1, self.batch_size + 1) if self.batch_size % n == 0]
            allowed = f"'auto', or a divisor of batch_size ({self.batch_size}): {divisors}"
            raise ValueError(f"micro_batch: got {self.micro_batch}, allowed: {allowed}")

    def _check_graph(self) -> None:
        beside = {
            "recompute": self.recompute != "none",
            "z_loss": self.z_loss > 0,
            "label_smoothing": self.label_smoothing > 0,
            "auxiliary": any(self.auxiliary.values()),
        }
        if self.compile == "graph" and (found := [name for name, there in beside.items() if there]):
            raise ValueError(f"compile: got 'graph', which has no {found[0]}; allowed beside that: auto, off")

    def _check_losses(self) -> None:
        if not 0 <= self.z_loss < math.inf:
            raise ValueError(f"z_loss: got {self.z_loss}, allowed: 0 or more")
        check_share("label_smoothing", self.label_smoothing)
        check_share("ema", self.ema)
        for name, weight in self.auxiliary.items():
            if not 0 <= weight < math.inf or name in OWN_LOSSES:
                allowed = "another name" if name in OWN_LOSSES else "a number, 0 or more"
                raise ValueError(f"auxiliary: got {weight} for '{name}', allowed: {allowed}")

    def _check_optimizer(self) -> None:
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay: got {self.weight_decay}, allowed: 0 or more")
        if len({*self.no_decay}) < len(self.no_decay):
            raise ValueError(f"no_decay: got {list(self.no_decay)}, allowed: each once")
        positive(self, "epsilon")
        check_share("beta1", self.beta1)
        check_share("beta2", self.beta2)
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
