"""First checks of a user's components, quick, before anything is trained with them.

The conformance tests hold them to all rules; these are the ones without which a result means
nothing. Shapes: T tokens, D model width.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from components import set_compiled
from components.attention import AttentionConfig, CoreAttention
from components.attention.insertion import grown, kept_operations
from components.auxiliary import auxiliary_losses
from components.hints import fits, shown
from components.initialise import initialise
from components.initialisers import drawn_weights, rate_of, size_of
from components.kernels.base import Conditions
from components.kernels.choice import IMPLEMENTATIONS
from components.kernels.streaming import BLOCK
from components.optimizers import weights_of
from components.registry import ComponentError
from mta_lab.config import ModelConfig, RunConfig, TrainingConfig, attention_before
from mta_lab.config.identity import modules_of
from mta_lab.config.placed import placed
from mta_lab.devices import own
from mta_lab.devices.child import computing
from mta_lab.errors import UserError, described, place

TOKENS = 12
LONGER = BLOCK + TOKENS  # what streaming computes in two blocks
SMALL, STEPS = 8, 3  # width of the layer that an optimizer is tried on, and how often
ALIKE = 1e-3  # the largest difference between implementations, of the largest value: far above rounding


def admit(configs: Iterable[RunConfig], components: Sequence[Path] = ()) -> None:
    """Raise UserError for a component of the user's that fails a quick check.

    An attention may not raise, return another shape than its input's, look ahead, be computed by a
    faster implementation otherwise than by `eager`, or change the output of a model that it is put
    into.

    Looks at those with code of the user's in them, which the files and folders `components` hold:
    on the device that trains, on a few random tokens and after some imagined training. A variant's
    `exempt` counts as in the conformance tests. A feed-forward and residual norms have to read each
    token alone, and to return numbers for it of its input's shape; an initialiser has to return a
    size and a rate of every weight of the model; an optimizer has to move the weights of a layer to
    others that are numbers, and a schedule to return shares of the peak.
    """
    distinct = {(one.attention, one.model, attention_before(one), one.training): one for one in configs}
    theirs = {given: config for given, config in distinct.items() if _own_files(config)}
    if theirs:
        with computing(components) as call:
            for config in {given[:3]: config for given, config in theirs.items()}.values():
                call(_check, config)
            for config in {given[:2]: config for given, config in theirs.items()}.values():
                call(_check_tokenwise, config)
                call(_check_initialiser, config)
            for training in dict.fromkeys(config.training for config in theirs.values()):
                call(_check_trainers, training)


def _own_files(config: RunConfig) -> list[str]:
    """Return the files with the user's code in the attention of a configuration."""
    theirs = (sys.modules[name].__file__ for name in modules_of(config) if name.partition(".")[0] != "components")
    return sorted(Path(str(file)).name for file in theirs)


def _check(config: RunConfig) -> None:
    """Raise UserError for an attention that fails a check on the device of this process."""
    attention, model, where = config.attention, config.model, own.device()
    own.set_precision("fp32")
    for layer, module in _kinds_of_layer(attention, model):
        one = attention.of_layer(layer, model.layers)
        named = f"{', '.join(_own_files(config))}: {one.name} on layer {layer}"
        _refuse(named, partial(_fault, module, model, one.exempt, where))
        _refuse(named, partial(_disagreement, module, model, one.exempt, where))
        _refuse(named, partial(_insertion_fault, layer, config))


def _refuse(named: str, fault_of: Callable[[], str]) -> None:
    """Raise UserError with the fault of the user's code, or with what it raises; none is fine."""
    try:
        fault = fault_of()
    except ComponentError as error:
        raise UserError(f"{named}: {error}") from error
    except (Exception, SystemExit) as error:  # the user's code
        raise UserError(f"{named}: {described(error)} ({place(error)})") from error
    if fault:
        raise UserError(f"{named} {fault}")


def _check_trainers(training: TrainingConfig) -> None:
    """Raise UserError for an optimizer or a schedule of the user's that fails a check."""
    for one, fault_of in ((training.optimizer, _optimizer_fault), (training.schedule, _schedule_fault)):
        home = type(one).__module__
        if home.partition(".")[0] != "components":
            file = Path(str(sys.modules[home].__file__)).name
            _refuse(f"{file}: {one.name}", partial(fault_of, training))


def _check_tokenwise(config: RunConfig) -> None:
    """Raise UserError for a feed-forward or residual norms of the user's that fail a check."""
    model = config.model
    for one, fault_of in ((model.feed_forward, _feed_forward_fault), (model.residual_norms, _norm_fault)):
        home = type(one).__module__
        if home.partition(".")[0] != "components":
            file = Path(str(sys.modules[home].__file__)).name
            for layer, scale in enumerate(config.pre_norm_scales, 1):
                _refuse(f"{file}: {one.name} on layer {layer}", partial(fault_of, model, layer, scale))


def _check_initialiser(config: RunConfig) -> None:
    """Raise UserError for an initialiser of the user's that fails a check."""
    one = config.model.initialiser
    home = type(one).__module__
    if home.partition(".")[0] != "components":
        file = Path(str(sys.modules[home].__file__)).name
        _refuse(file, partial(_initialiser_fault, config.attention, config.model))


def _initialiser_fault(attention: AttentionConfig, model: ModelConfig) -> str:
    """Ask for the size and the rate of every weight; return an empty string."""
    with torch.device("meta"):
        whole, base = (_drawn_parts(attention, one) for one in (model, model.base))
    for weight in drawn_weights(whole, base, model.layers).values():
        size_of(model.initialiser, weight)
        rate_of(model.initialiser, weight)
    return ""


def _drawn_parts(attention: AttentionConfig, model: ModelConfig) -> nn.Module:
    """Return the parts of a decoder that have weights to draw, under their names in it."""
    embedding = torch.empty(model.vocabulary, model.width)
    parts = [
        {"attention": placed(attention, model, layer), "feed_forward": model.built_feed_forward(layer)}
        for layer in range(1, model.layers + 1)
    ]
    return nn.ModuleDict(
        {
            "embedding": nn.Embedding.from_pretrained(embedding, freeze=False),  # type: ignore[no-untyped-call]
            "blocks": nn.ModuleList(nn.ModuleDict(one) for one in parts),
        }
    )


def _feed_forward_fault(model: ModelConfig, layer: int, scale: float) -> str:
    """Return what is wrong with the feed-forward of a layer, or an empty string."""
    module = model.built_feed_forward(layer)
    return _token_fault(model.width, module, module)


def _norm_fault(model: ModelConfig, layer: int, scale: float) -> str:
    """Return what is wrong with the norms of a layer or behind the last, or an empty string."""
    norm, final = model.built_norm(layer, scale), model.residual_norms.final(width=model.width)
    joined = partial(model.residual_norms.join, norm, sublayer=torch.sin)
    return _token_fault(model.width, norm, joined) or _token_fault(model.width, final, final)


def _token_fault(width: int, module: nn.Module, call: Callable[[Tensor], Tensor]) -> str:
    """Return what is wrong with `call`, which computes by `module` on a few random tokens."""
    where = own.device()
    initialise(module.to(where).eval(), seed=0)
    x_1TD = torch.randn(1, TOKENS, width, generator=torch.Generator().manual_seed(0)).to(where)
    y_1TD = call(x_1TD)
    if not isinstance(y_1TD, Tensor) or y_1TD.shape != x_1TD.shape:
        given = list(y_1TD.shape) if isinstance(y_1TD, Tensor) else shown(y_1TD)
        return f"returns {given} for an input of {list(x_1TD.shape)}"
    if not y_1TD.isfinite().all():
        return "returns numbers that are not finite"
    auxiliary_losses(module)
    alone_1TD = torch.cat([call(x_1TD[:, token : token + 1]) for token in range(TOKENS)], dim=1)
    if (alone_1TD - y_1TD).abs().max() > ALIKE * y_1TD.abs().max():
        return "returns something else for a token among others than for the token alone"
    return ""


def _optimizer_fault(training: TrainingConfig) -> str:
    """Return what is wrong with some steps of a small layer, or an empty string."""
    initialise(layer := nn.Linear(SMALL, SMALL), seed=0)
    before = [weight.detach().clone() for weight in layer.parameters()]
    weights = weights_of(layer, rate=training.learning_rate, decay=training.weight_decay, no_decay=training.no_decay)
    optimizer, generator = training.optimizer.build(weights, training.adam), torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        for weight in layer.parameters():
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()
    for start, (name, weight) in zip(before, layer.named_parameters(), strict=True):
        if not weight.isfinite().all():
            return f"makes numbers of a layer's {name} that are not finite, in {STEPS} steps"
        if torch.equal(weight, start):
            return f"does not move a layer's {name} in {STEPS} steps"
    return ""


def _schedule_fault(training: TrainingConfig) -> str:
    """Return what is wrong with the rates of the run's first, middle and last steps, or ''."""
    warmup, steps = training.warmup_steps, training.steps
    for step in (warmup, (warmup + steps) // 2, steps) if steps else ():
        factor = training.schedule.factor(step, steps=steps, warmup=warmup)
        if not fits(float, factor) or not 0 <= factor <= 1:
            return f"returns {shown(factor)} at step {step} of {steps}, allowed: a number from 0 to 1"
    return ""


def _kinds_of_layer(attention: AttentionConfig, model: ModelConfig) -> Iterator[tuple[int, nn.Module]]:
    """Yield the first layer of each kind: an operation may stand on some layers only."""
    seen = set()
    for layer in range(1, model.layers + 1):
        with torch.device("meta"):  # takes no memory
            parts = frozenset(type(part) for part in placed(attention, model, layer).modules())
        kind = parts, attention.of_layer(layer, model.layers)
        if kind not in seen:
            seen.add(kind)
            yield layer, placed(attention, model, layer)


def _fault(module: nn.Module, model: ModelConfig, exempt: Mapping[str, str], where: torch.device) -> str:
    """Return what is wrong with the outputs of `module`, or an empty string."""
    generator = torch.Generator().manual_seed(0)
    initialise(module.eval(), seed=0)
    x_1TD = torch.randn(1, TOKENS, model.width, generator=generator).to(where)
    rotary = model.positions.turns(context=TOKENS, head_width=model.channels, device=where)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
        module.to(where)
        y_1TD = module(x_1TD, rotary)
        given = list(y_1TD.shape) if isinstance(y_1TD, Tensor) else type(y_1TD).__name__
        if given != list(x_1TD.shape) and "shape" not in exempt:
            return f"returns {given} for tokens of shape {list(x_1TD.shape)}, allowed: the same shape"
        if not torch.equal(module(x_1TD, rotary).nan_to_num(), y_1TD.nan_to_num()):
            return "gives another output for the same tokens the second time, allowed: the same"
        others_1TD = torch.randn(x_1TD.shape, generator=generator).to(where)
        beside_1TD = module(torch.cat([x_1TD, others_1TD]), rotary)[:1]
        if not beside_1TD.allclose(y_1TD, rtol=0.0, atol=ALIKE * float(y_1TD.abs().nan_to_num().max()), equal_nan=True):
            return "mixes sequences: its output for one depends on the others of the batch"
        for t in range(1, 0 if "causal" in exempt else TOKENS):
            changed_1TD = x_1TD.clone()
            changed_1TD[:, t] *= -50.0
            same_T = module(changed_1TD, rotary).isclose(y_1TD, rtol=0.0, atol=0.0, equal_nan=True).all(-1).flatten()
            if not same_T[:t].all():
                position = same_T.tolist().index(False)
                return f"looks ahead: its output at position {position} depends on the token at position {t}"
    return ""


def _disagreement(module: nn.Module, model: ModelConfig, exempt: Mapping[str, str], where: torch.device) -> str:
    """Return where a faster implementation differs from `eager`, in outputs or gradients; else ''.

    Only implementations that may run are compared.
    """
    cores = [part for part in module.modules() if isinstance(part, CoreAttention)]
    wanted = {core.impl for core in cores} or {"auto"}
    able = [name for name in IMPLEMENTATIONS if "auto" in wanted and _can(cores, name, where)]
    expected = _outcome(set_compiled(module, False), cores, "eager", model, where)
    set_compiled(module, True)
    for impl in () if "implementations" in exempt else sorted({*wanted, *able} - {"eager"}):
        found = _outcome(module, cores, impl, model, where)
        for name, value in expected.items():
            far = (found[name] - value).abs().nan_to_num(torch.inf).masked_fill(value.isnan() & found[name].isnan(), 0)
            allowed = ALIKE * value.abs().nan_to_num().max().item()
            if far.max() > max(allowed, 1e-9):
                index = [int(part) for part in torch.unravel_index(far.argmax(), far.shape)]
                return (
                    f"comes out otherwise under impl: {impl} than under impl: eager: {name} at {index} by "
                    f"{far.max().item():.3g}, allowed: {allowed:.1g}; let stage() and earlier_queries say what forward "
                    "does, or set impl: eager"
                )
    return ""


def _insertion_fault(layer: int, config: RunConfig) -> str:
    """Return by how much a trained layer's output changes where a run goes on from it; else ''."""
    trained, model, generator = attention_before(config), config.model, torch.Generator().manual_seed(2)
    if trained in (None, config.attention):
        return ""
    before, after = (placed(one, model, layer).eval() for one in (trained, config.attention))
    for module in (before, after):
        initialise(module, seed=0)
    with torch.no_grad():
        for parameter in before.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
        kept = kept_operations(trained, config.attention, layer, model.layers)
        after.load_state_dict(grown(before.state_dict(), after.state_dict(), kept))
        x_1TD = torch.randn(1, TOKENS, model.width, generator=generator)
        expected_1TD = before(x_1TD)
        far = (after(x_1TD) - expected_1TD).abs().max().item()
    if far <= ALIKE * expected_1TD.abs().max().item():
        return ""
    return (
        f"cannot be inserted into '{trained.name}': it changes the output before any step, by {far:.3g}; let "
        "it start as the identity, or train from the start"
    )


def _can(cores: Iterable[CoreAttention], impl: str, where: torch.device) -> bool:
    """Return whether `impl` can compute all attention cores of a layer in float32."""
    here = Conditions(where, torch.float32)
    found = [IMPLEMENTATIONS[impl].obstacle(core.map_ops().all(), here) for core in cores]
    return bool(found) and not any(found)


def _outcome(
    module: nn.Module, cores: Iterable[CoreAttention], impl: Any, model: ModelConfig, where: torch.device
) -> dict[str, Tensor]:
    """Return the output and, by name, the gradients of input and parameters under `impl`."""
    for core in cores:
        core.impl = impl
    generator = torch.Generator().manual_seed(1)
    x_1TD = torch.randn(1, LONGER, model.width, generator=generator).to(where).requires_grad_()
    rotary = model.positions.turns(context=LONGER, head_width=model.channels, device=where)
    y_1TD = module(x_1TD, rotary)
    learned = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    leaves = {"the input": x_1TD, **learned}
    upstream = torch.randn(y_1TD.shape, generator=generator).to(where)
    gradients = torch.autograd.grad(y_1TD, list(leaves.values()), upstream, materialize_grads=True)
    named = zip((f"the gradient of {name}" for name in leaves), gradients, strict=True)
    return {"the output": y_1TD.detach(), **dict(named)}
