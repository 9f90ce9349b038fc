"""The arithmetic of a run is told by bits: equal for equal code, another for other rounding."""

import os
import subprocess
import sys

import pytest
import torch

from components.kernels.cpu import library
from mta_lab.config import Precision
from mta_lab.data import Corpus
from mta_lab.training.arithmetic import arithmetic, kernel_library
from mta_lab.training.run import train
from tests.training.conftest import Configure

CPU = torch.device("cpu")
ABLE = ("eager", "streaming", "sdpa", *(() if library.unavailable() else ("fused",)))


def bits_of(*implementations: str, precision: Precision = "fp32", compiled: bool = True) -> dict[str, str]:
    return arithmetic(implementations, precision, CPU, compiled=compiled)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_implementation_has_bits_of_its_own(precision: Precision) -> None:
    found = {name: bits_of(name, precision=precision)[f"{name}, {precision}"] for name in ABLE}
    assert len(set(found.values())) == len(ABLE)
    assert all(len(bits) == 8 and int(bits, 16) >= 0 for bits in found.values())


def test_precisions_and_compiled_row_operators_are_parts_of_their_own() -> None:
    assert set(bits_of("eager")) & set(bits_of("eager", precision="bf16")) == set()
    plain = bits_of("eager", compiled=False)
    assert "row operators (torch), fp32" in plain
    if library.unavailable() is None:
        on = bits_of("eager")
        assert on["row operators (compiled), fp32"] != plain["row operators (torch), fp32"]
        assert on["eager, fp32"] == plain["eager, fp32"]
        assert len(kernel_library()) == 16


def test_a_variant_that_computes_attention_itself_has_its_other_parts() -> None:
    assert [part for part in bits_of("own") if part.startswith("own")] == []
    assert len(bits_of("own")) == 2


def test_measuring_draws_nothing_from_the_global_stream() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    arithmetic(("eager",), "bf16", torch.device("cpu", 0), compiled=True)
    assert torch.equal(torch.rand(2), expected)


ELSEWHERE = """
import torch
from mta_lab.training.arithmetic import arithmetic
for threads in (2, 1):
    torch.set_num_threads(threads)
    print(sorted(arithmetic(ABLE, "fp32", torch.device("cpu"), compiled=True).items()))
"""


def test_another_process_and_processor_are_told_apart_by_the_processor_alone() -> None:
    """The other processor is this one without vector instructions: it sums in another order."""

    def printed(**variables: str) -> list[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
        script = ELSEWHERE.replace("ABLE", repr(("eager", "sdpa")))
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    here = str(sorted(bits_of("eager", "sdpa").items()))
    assert printed() == [here, here]
    if torch.backends.cpu.get_cpu_capability() != "DEFAULT":
        assert here not in printed(ATEN_CPU_CAPABILITY="default")


def test_a_run_tells_its_arithmetic(configure: Configure, corpus: Corpus) -> None:
    result = train(configure({"attention.impl": "eager", "training.steps": 4}), corpus)
    assert result.arithmetic == bits_of("eager")
    assert result.kernels == kernel_library()
    plain = train(configure({"attention.impl": "eager", "training.compiled": False, "training.steps": 4}), corpus)
    assert plain.arithmetic == bits_of("eager", compiled=False)
    assert plain.kernels == ""
