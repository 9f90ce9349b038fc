"""Describe devices that need not be here, for estimates by arithmetic.

A description ships (`known.yaml`), is a file of the user's, or is typed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mta_lab.config import read_yaml
from mta_lab.errors import UserError, nearest

FILE = Path(__file__).with_name("known.yaml")
PRECISIONS = ("bf16", "fp16", "tf32", "fp32")
KEYS = ("memory", "bandwidth", *PRECISIONS)
FORM = "memory=80GB,bf16=990e12"
UNITS = {"MB": 1e6, "GB": 1e9, "TB": 1e12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
SLOWEST, FASTEST = 1e9, 1e21
"""operations a second: peaks beyond them are in another unit, like 990 for 990 TFLOP/s"""
SIZE = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(UNITS)})(?:/s)?")


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device by the numbers that time and memory follow from."""

    name: str
    memory: float
    """bytes"""
    peaks: Mapping[str, float]
    """precision -> floating-point operations a second, at most"""
    bandwidth: float | None = None
    """bytes a second between its memory and its cores, where that is known"""
    torch: str = ""
    """the name by which torch knows it, where that is known"""

    def peak(self, precision: str) -> float:
        """Return the most operations a second in a precision; raise UserError if it is not said."""
        if precision not in self.peaks:
            said = ", ".join(self.peaks)
            raise UserError(
                f"--device: {self.name} says no {precision}, in which runs train; add {precision}=FLOP/s to it, or set "
                f"training.precision to one of: {said}"
            )
        return self.peaks[precision]


@cache
def known() -> Mapping[str, Device]:
    """Return the devices whose facts ship, by name."""
    return {name: _device(name, facts, f"{FILE.name}: {name}") for name, facts in read_yaml(FILE, FILE.name).items()}


def named_by_torch(name: str) -> Device | None:
    """Return the shipped facts of the GPU that torch calls `name`, None where there are none."""
    return next((device for device in known().values() if device.torch == name), None)


def device_of(text: str) -> Device:
    """Return the device of a description: a shipped name, a YAML file, or facts as KEY=VALUE,...

    Raises:
        UserError: there is no such device, or a fact is missing or has no meaning.
    """
    if "=" in text:
        pairs = [part.partition("=") for part in text.split(",")]
        keys = [key.strip() for key, _, _ in pairs]
        if twice := next((key for key in keys if keys.count(key) > 1), ""):
            raise UserError(f"--device: got '{twice}' twice, allowed: once")
        return _device("this description", {key.strip(): value.strip() for key, _, value in pairs}, "--device")
    if text.endswith((".yaml", ".yml")):
        return _device(Path(text).stem, read_yaml(text, f"--device: {text}", texts=KEYS), f"--device: {text}")
    if text.lower() not in known():
        hint = nearest(text.lower(), known()) or ";"
        raise UserError(f"--device: no device named '{text}'{hint} known: {', '.join(known())}; or {FORM}, or a file")
    return known()[text.lower()]


def _device(name: str, facts: Mapping[str, Any], where: str) -> Device:
    for key in facts:
        if key not in (*KEYS, "torch"):
            hint = nearest(key, KEYS) or ";"
            raise UserError(f"{where}: {key}: no such fact{hint} allowed: {', '.join(KEYS)}, like {FORM}")
    if "memory" not in facts:
        raise UserError(f"{where}: says no memory; allowed: like {FORM}")
    peaks = {
        precision: _rate(facts[precision], f"{where}: {precision}") for precision in PRECISIONS if precision in facts
    }
    if not peaks:
        raise UserError(f"{where}: says no operations a second; add one of {', '.join(PRECISIONS)}, like {FORM}")
    sizes = {key: _size(facts[key], f"{where}: {key}") for key in ("memory", "bandwidth") if key in facts}
    return Device(name=name, peaks=peaks, torch=str(facts.get("torch", "")), **sizes)


def _size(given: Any, where: str) -> float:
    """Return the bytes of a size like 80GB."""
    found = SIZE.fullmatch(str(given))
    value = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not value:
        raise UserError(f"{where}: got '{given}', allowed: a size above 0 in {', '.join(UNITS)}, like 80GB")
    return value


def _rate(given: Any, where: str) -> float:
    """Return operations a second, as a number like 990e12."""
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = 0.0
    if not SLOWEST <= value <= FASTEST:
        allowed = f"operations a second from {SLOWEST:g} to {FASTEST:g}, like 990e12 for 990 TFLOP/s"
        raise UserError(f"{where}: got '{given}', allowed: {allowed}")
    return value
