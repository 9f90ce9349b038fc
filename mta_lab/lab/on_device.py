"""Estimate what a plan takes on a device that is described and need not be here."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mta_lab.bench.step import STEP, published
from mta_lab.devices.known import Device, device_of
from mta_lab.lab.costs import Costs, left_of
from mta_lab.lab.placing import check_batches
from mta_lab.lab.plan import Plan
from mta_lab.planning.by_arithmetic import UTILISATION, Arithmetic, on_device
from mta_lab.planning.estimates import Estimate, seconds_of
from mta_lab.report import numbers
from mta_lab.sweep import Row
from mta_lab.training.sizes import GPU_SHARE, step_memory
from mta_lab.words import counted, duration

__all__ = ["costs_on", "device_of", "explained"]

MANY = 8  # devices, beside one: a usual machine


def costs_on(plan: Plan, device: Device, devices: int = 1) -> Costs:
    """Return what is left of a plan, and by arithmetic the time of each row's run.

    Each run is on so many of the device together.

    Raises:
        UserError: the device's description lacks the peak of a row's precision, or a row's batch
            cannot be shared out among the devices.
    """
    check_batches(plan, devices)
    runs, failed, trials = left_of(plan)
    found = {row.name: on_device(row.config, device, devices) for row in plan.sweep.staged.rows}
    estimates = {name: Estimate(one.seconds, "arithmetic") for name, one in found.items()}
    return Costs(runs=runs, trials=trials, failed=failed, estimates=estimates, chains=plan.sweep.chains, workers=1)


def explained(plan: Plan, device: Device, costs: Costs, devices: int = 1) -> list[str]:
    """Return the arithmetic of the estimates in lines: time, memory, hours of the table."""
    rows = plan.sweep.staged.rows
    found = {row.name: on_device(row.config, device, devices) for row in rows}
    baseline = plan.sweep.row(plan.sweep.baseline)
    largest = max(rows, key=lambda row: found[row.name].memory.total)
    peaks = ", ".join(f"{name} {peak / 1e12:g} TFLOP/s" for name, peak in device.peaks.items())
    return [
        f"Estimated by arithmetic for {_named(device, devices)} ({numbers.size(device.memory)}; {peaks}). "
        "Nothing was measured.",
        _time(baseline, found[baseline.name], device, devices),
        _not_counted(rows, devices),
        _micro_batches(found, {row.name: row.config.training.batch_size for row in rows}),
        _memory(largest, found[largest.name], device),
        _in_all(costs, devices, bounded=_slower(rows) != {}),
    ]


def _named(device: Device, devices: int) -> str:
    return device.name if devices == 1 else f"{devices} x {device.name} a run"


def _time(row: Row, found: Arithmetic, device: Device, devices: int) -> str:
    precision, together = row.config.training.precision, f" x {devices} devices" if devices > 1 else ""
    return (
        f"Time of a run: operations / (peak x {UTILISATION}), the share of its peak that training is assumed to reach. "
        f"{row.name}: {found.operations:.2e} / ({device.peak(precision):.3g} in {precision} x {UTILISATION}{together}) "
        f"= {duration(found.seconds)}."
    )


def _not_counted(rows: Sequence[Row], devices: int) -> str:
    """Return what operations are counted, and how many times as long the paper's models took."""
    slower = ", ".join(f"{name} {ratio:.1f}" for name, ratio in _slower(rows).items())
    paper = f" In the paper's Table 9 these took, beside the Transformer's 1: {slower}." if slower else ""
    sent = "; what devices send each other" if devices > 1 else ""
    return (
        "Operations: about 6 a parameter and token. Not counted: those on attention maps; the start of kernels, which "
        f"is most of a small model's time{sent}.{paper}"
    )


def _slower(rows: Sequence[Row]) -> Mapping[str, float]:
    """Return the published time of the rows' variants over the Transformer's, where it is more."""
    names = dict.fromkeys(row.config.attention.name for row in rows)
    ratios = {name: published(name).get(STEP, 1.0) for name in names}
    return {name: ratio for name, ratio in ratios.items() if ratio > 1}


def _micro_batches(found: Mapping[str, Arithmetic], batches: Mapping[str, int]) -> str:
    alike: dict[str, list[str]] = {}
    for name, one in found.items():
        words = f"{one.micro_batch} of {counted(batches[name], 'sequence')}"
        alike.setdefault(words if one.fits else f"{words}, which does not fit", []).append(name)
    parts = (f"{words} for {', '.join(names)}" for words, names in alike.items())
    return f"Micro-batch: {'; '.join(parts) if len(alike) > 1 else next(iter(alike))}."


def _memory(row: Row, found: Arithmetic, device: Device) -> str:
    memory, size = found.memory, numbers.size
    allowed = f"{GPU_SHARE:.0%} of {size(device.memory)}"
    verdict = f"it may take {allowed}" if found.fits else f"more than {allowed}: it does not fit{_remedy(row, found)}"
    parts = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        row.config.training.optimizer.name: memory.optimizer,
        f"activations of {counted(found.micro_batch, 'sequence')}": memory.activations,
        "logits of a chunk": memory.logits,
    }
    added = " + ".join(f"{name} {size(part)}" for name, part in parts.items())
    return f"Memory of a step, for {row.name}: {added} = {size(memory.total)}; {verdict}."


def _remedy(row: Row, found: Arithmetic) -> str:
    """Return what to set for less memory, and what a step takes then."""
    training = row.config.training
    if found.micro_batch > 1 and training.micro_batch != "auto":
        return "; training.micro_batch=auto reads fewer at a time"
    if training.recompute == "blocks":
        return ""
    less = step_memory(replace(row.config, training=replace(training, recompute="blocks")), found.micro_batch)
    return f"; training.recompute=blocks takes {numbers.size(less.total)}"


def _in_all(costs: Costs, devices: int, *, bounded: bool) -> str:
    """Return the time of all that is left, on the devices of one run and on several times them."""
    left = costs.runs + costs.trials
    seconds = seconds_of(left, costs.estimates, 1)
    if not seconds:
        return "In all: nothing to train."
    about, hours = "at least" if bounded else "about", seconds * devices / 3600
    shown = f"{hours:,.0f}" if hours > 10 else f"{hours:.2g}"
    groups = MANY // devices
    together = seconds_of(left, costs.estimates, groups, costs.chains) if groups > 1 else None
    several = f", {duration(together)} on {groups * devices}" if together else ""
    return (
        f"In all: {about} {shown} device-hours for {counted(left.total(), 'run')}: "
        f"{duration(seconds)} on {counted(devices, 'device')}{several}."
    )
