"""A numeric signature of what components compute: a change of meaning moves it, new names do not.

An attention is built small, layer by layer, and run in float64 by the plain torch form, so that
neither compiled code nor the machine shows. Measured are its initial values, its outputs and its
gradients, in training and in evaluation. A synthetic task is measured by the sequences that it
makes.

Shapes: B batch, T tokens, D model width.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

from components.attention import AttentionConfig, rotary_table
from components.auxiliary import auxiliary_losses
from components.evaluations import Evaluation, Predicted
from components.feed_forward import FeedForwardConfig
from components.initialise import initialise
from components.initialisers import Drawn, InitialiserConfig
from components.kernels.substitute import set_compiled
from components.positions import PositionConfig
from components.residual_norms import ResidualNormConfig
from components.schedules import ScheduleConfig
from components.tasks import GroupedTask, SyntheticTask, TaskConfig

HEAD_WIDTH = 4
WIDTH = 12  # of a model whose feed-forward or norms are measured
SEQUENCES = 32  # of a synthetic task
HELD_OUT = 2  # sequences of each group of a task that has some
DIGITS = 1e-6  # of the norm of a tensor: rounding of float64 on any machine is far below
CONTEXT = 64  # tokens at whose positions a model is measured
MARGIN = 8  # tokens beyond what the largest kernels reach


def attention_meaning(attention: AttentionConfig, heads: int, layers: int) -> str:
    """Return 16 hex digits over the initial values, outputs and gradients of every layer."""
    plain, threads = in_plain_torch(attention), torch.get_num_threads()
    torch.set_num_threads(1)  # small tensors: threads would wait for each other
    try:
        of_layers = [(layer, plain.of_layer(layer, layers)) for layer in range(1, layers + 1)]
        measured = (tensor for layer, one in of_layers for tensor in _measured(one, heads, layer, layers))
        return _digest([" ".join(_numbers(tensor)) for tensor in measured])
    finally:
        torch.set_num_threads(threads)


def task_meaning(task: TaskConfig) -> str:
    """Return 16 hex digits over what a task is scored by and, of a synthetic one, its sequences."""
    lines: list[str] = [task.metric.name]
    if isinstance(task, SyntheticTask):
        tokens, scored = task.sequences(SEQUENCES, torch.Generator().manual_seed(0))
        lines += [f"{task.vocabulary} {task.context}", str(tokens.tolist()), str(scored.tolist())]
    if isinstance(task, GroupedTask):
        few = replace(task, held_out=HELD_OUT)
        for group in few.groups:
            tokens, scored = few.held_out_of(group, torch.Generator().manual_seed(0))
            lines += [group, str(tokens.tolist()), str(scored.tolist())]
    return _digest(lines)


def evaluation_meaning(evaluation: Evaluation) -> str:
    """Return 16 hex digits over what an evaluation measures on random predictions.

    The scores made from the means count, too.
    """
    generator = torch.Generator().manual_seed(0)
    logits_BTV, targets_BT = 4.0 * _draw(generator, 3, 5, 7), torch.randint(7, (3, 5), generator=generator)
    lines = [evaluation.metric.name]
    for scored_BT in (None, torch.rand(3, 5, generator=generator) < 0.5):
        values = evaluation.values(Predicted(logits_BTV, targets_BT, scored_BT, compiled=False)).double()
        lines += [*_numbers(values), f"{evaluation.score(values.mean().item()):.5e}"]
    return _digest(lines)


def schedule_meaning(schedule: ScheduleConfig) -> str:
    """Return 16 hex digits over the rates of a short run, with and without warm-up."""
    rates = (schedule.factor(step, steps=40, warmup=warmup) for warmup in (0, 7) for step in range(warmup, 40))
    return _digest([f"{rate:.6e}" for rate in rates])


def position_meaning(positions: PositionConfig, heads: int) -> str:
    """Return 16 hex digits over turns, what is added to tokens at the start, and a bias."""
    turns, found = positions.turns(context=CONTEXT, head_width=2 * HEAD_WIDTH), list[Tensor]()
    if turns is not None:
        found.append(turns.double().round(decimals=3))
    added = positions.added(context=CONTEXT, width=heads * HEAD_WIDTH)
    if added is not None:
        initialise(added := added.to(torch.float64), seed=0)
        found.append(added(torch.arange(CONTEXT)).detach())
    bias = positions.bias(heads=heads, layer=1)
    if bias is not None:
        scores_BMQK = _draw(torch.Generator().manual_seed(0), 1, heads, MARGIN, CONTEXT)
        found.append(bias(scores_BMQK, torch.ones(MARGIN, CONTEXT, dtype=torch.bool).tril(CONTEXT - MARGIN)))
    return _digest([" ".join(_numbers(tensor)) for tensor in found])


def feed_forward_meaning(feed_forward: FeedForwardConfig, layers: int) -> str:
    """Return 16 hex digits over what every layer starts with, its outputs, gradients and losses."""
    found = list[Tensor]()
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.enable_grad():
        for layer in range(1, layers + 1):
            module = feed_forward.build(width=WIDTH, multiple=HEAD_WIDTH, layer=layer, layers=layers)
            found += _of_tokens(module, module, layer)
    return _digest([" ".join(_numbers(tensor)) for tensor in found])


def residual_norm_meaning(norms: ResidualNormConfig, scales: Sequence[float]) -> str:
    """Return 16 hex digits over the norms of every layer, and the one behind the last.

    `scales` are the factors of those before the sublayers, one for each layer; the sine stands for
    a sublayer.
    """
    found = list[Tensor]()
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.enable_grad():
        for layer, scale in enumerate(scales, 1):
            norm = norms.build(width=WIDTH, scale=scale, layer=layer, layers=len(scales))
            found += _of_tokens(norm, partial(norms.join, norm, sublayer=torch.sin), layer)
        final = norms.final(width=WIDTH)
        found += _of_tokens(final, final, 0)
    return _digest([" ".join(_numbers(tensor)) for tensor in found])


def _of_tokens(module: nn.Module, call: Callable[[Tensor], Tensor], seed: int) -> list[Tensor]:
    """Return what `module` starts with, and outputs and gradients of `call`, which computes by it.

    Its losses are part of the gradients.
    """
    initialise(set_compiled(module, False).to(torch.float64), seed=0)
    start = [parameter.detach() for parameter in module.parameters()]
    generator = torch.Generator().manual_seed(seed)
    x_BTD, weights_BTD = (_draw(generator, 2, MARGIN, WIDTH) for _ in range(2))
    torch.default_generator.manual_seed(0)
    given = [x_BTD.requires_grad_(), *module.parameters()]
    y_BTD = call(x_BTD)
    total = (y_BTD * weights_BTD).sum() + sum(auxiliary_losses(module).values())
    gradients = torch.autograd.grad(total, given, allow_unused=True)
    return [*start, y_BTD.detach(), *(torch.zeros(1) if one is None else one for one in gradients)]


def initialiser_meaning(initialiser: InitialiserConfig, heads: int, layers: int) -> str:
    """Return 16 hex digits over the sizes and rates of weights of every kind, and the factors."""
    width, lines = heads * HEAD_WIDTH, list[str]()
    for times in (1, 2, 3):
        sizes = {"width": times * width, "heads": heads}
        factors = initialiser.query_scale(**sizes), initialiser.output_scale(width=times * width)
        lines.append(" ".join([str(initialiser.base(**sizes)), *(f"{factor:.6e}" for factor in factors)]))
    for outputs, inputs, embedding, residual in product((1, 2), (1, 3), (False, True), (False, True)):
        base, shape = torch.Size([5, width]), torch.Size([5 * outputs, inputs * width])
        weight = Drawn(name="w", shape=shape, base=base, layers=layers, embedding=embedding, residual=residual)
        lines.append(f"{initialiser.std(weight):.6e} {initialiser.rate(weight):.6e}")
    return _digest(lines)


def _measured(attention: AttentionConfig, heads: int, layer: int, layers: int) -> Iterator[Tensor]:
    """Yield what a layer starts with; then outputs and gradients after some imagined training."""
    width = heads * HEAD_WIDTH
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.enable_grad():
        module = attention.build(width=width, heads=heads, layer=layer, layers=layers).to(torch.float64)
        initialise(module, seed=0)
        yield torch.tensor([attention.pre_norm_scale(layer)], dtype=torch.float64)
        yield from (parameter.detach() for parameter in module.parameters())
        generator = torch.Generator().manual_seed(layer)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(_draw(generator, *parameter.shape), alpha=0.5)
        tokens = _reach(module) + MARGIN
        x_BTD = _draw(generator, 2, tokens, width).requires_grad_()
        weights_BTD = _draw(generator, 2, tokens, width)
        # The table is float32, whose last digits depend on the machine.
        rotary = rotary_table(tokens, HEAD_WIDTH, 10_000.0).double().round(decimals=3)
        for training in (False, True):
            torch.default_generator.manual_seed(0)  # what dropout draws from
            y_BTD = module.train(training)(x_BTD, rotary)
            given = [x_BTD, *module.parameters()]
            gradients = torch.autograd.grad((y_BTD * weights_BTD).sum(), given, allow_unused=True)
            yield y_BTD.detach()
            yield from (torch.zeros(1) if gradient is None else gradient for gradient in gradients)


def in_plain_torch(attention: AttentionConfig) -> AttentionConfig:
    """Return the same attention by its readable reference, where it has several implementations."""
    has_choice = any(field.name == "impl" for field in fields(attention))
    return replace(attention, impl="eager") if has_choice else attention  # type: ignore[call-arg]


def _reach(module: nn.Module) -> int:
    """Return how many tokens the largest kernel spans, queries plus keys.

    For a head matrix, it is twice the number of heads.
    """
    spans = [sum(parameter.shape[-2:]) for parameter in module.parameters() if parameter.dim() > 2]
    return max(spans, default=MARGIN)


def _draw(generator: torch.Generator, *shape: int) -> Tensor:
    """Uniform values from -1 to 1; normal ones are not the same to the bit on all processors."""
    return 2.0 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1.0


def _numbers(tensor: Tensor) -> Sequence[str]:
    """Return a tensor's shape, norm and three random projections, as texts.

    They are rounded to the digits on which every machine agrees.
    """
    flat = tensor.double().flatten()
    norm = flat.norm().item()
    directions = 2.0 * torch.rand(3, flat.numel(), generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    step = DIGITS * max(norm, DIGITS)
    projected = [value / step for value in (directions @ flat).tolist()]
    if not math.isfinite(norm):
        return [str(list(tensor.shape)), "not finite"]
    return [str(list(tensor.shape)), f"{norm + 0.0:.5e}" if norm > DIGITS else "0", *(f"{v:.0f}" for v in projected)]


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
