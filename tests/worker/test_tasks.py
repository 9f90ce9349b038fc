"""The order in which a launch hands out its tasks."""

from mta_lab.sweep import Cell
from mta_lab.worker.tasks import Task, next_task
from tests.config.helpers import config


def order(rows: str, seeds: int, seconds: dict[str, float]) -> list[str]:
    """The labels of all cells in the order they would start."""
    cells = [Cell(row=row, seed=seed, config=config()) for seed in range(seeds) for row in rows.split()]
    pending = [Task(cell=cell, content_hash="0", fingerprint=cell.label) for cell in cells]
    labels = []
    while pending:
        task = next_task(pending, seconds)
        pending.remove(task)
        labels.append(f"{task.cell.row}{task.cell.seed}")
    return labels


def test_nothing_is_known_at_first_and_the_sweeps_order_counts() -> None:
    assert order("a b c", 2, {}) == ["a0", "b0", "c0", "a1", "b1", "c1"]


def test_within_a_seed_the_longest_go_first_and_seeds_stay_in_order() -> None:
    assert order("a b c", 2, {"a": 1.0, "b": 3.0, "c": 2.0}) == ["b0", "c0", "a0", "b1", "c1", "a1"]


def test_what_is_unknown_goes_before_what_is_known() -> None:
    assert order("a b c", 1, {"a": 9.0, "c": 2.0}) == ["b0", "a0", "c0"]
