"""Workers share a GPU where the largest run of a sweep leaves it room and idle time."""

from dataclasses import replace

from mta_lab.config import RunConfig, command_line, resolve, scale_layer
from mta_lab.planning.sharing import MOST, PROCESS, workers_a_gpu
from mta_lab.results.records import Record
from mta_lab.training.sizes import GPU_SHARE, step_memory
from tests.report.examples import example_record

H100 = "NVIDIA H100 80GB HBM3"


def config(scale: str = "nano", *settings: str) -> RunConfig:
    return resolve([scale_layer(scale), command_line(settings)])


def taken(config: RunConfig, peak: float, machine: str = H100) -> Record:
    """Return the record of a run that took so many bytes."""
    return replace(example_record("one", 30.0, config), peak_memory=int(peak), provenance={"machine": machine})


def number(*configs: RunConfig, free: float | None = 80e9, cores: int = 16, history: tuple[Record, ...] = ()) -> int:
    return workers_a_gpu(configs, history, gpu=H100, free=free, cores=cores)


def test_small_models_share_and_those_of_the_paper_do_not() -> None:
    assert number(config()) == MOST
    assert 1 < number(config("small")) < MOST
    assert [number(config(scale)) for scale in ("paper-300m", "paper-1b")] == [1, 1]


def test_the_largest_row_decides() -> None:
    assert number(config(), config("small")) == number(config("small"))


def test_each_worker_needs_a_core() -> None:
    assert number(config(), cores=3) == 3
    assert number(config(), cores=0) == 1


def test_a_gpu_whose_memory_is_not_known_has_one() -> None:
    assert number(config(), free=None) == 1


def test_what_a_run_took_on_this_kind_of_gpu_counts_and_else_arithmetic() -> None:
    one = config()
    fits = 3 * (PROCESS + step_memory(one, one.training.batch_size).total) / GPU_SHARE
    assert number(one, free=fits + 10) == 3
    assert number(one, free=fits - 10) == 2
    history = taken(one, 3e9), taken(one, 1e9), taken(one, 9e9, "another machine")
    assert number(one, free=10e9, history=history) == 2
    assert number(one, free=20e9, history=(taken(config("small"), 9e9),)) == MOST
