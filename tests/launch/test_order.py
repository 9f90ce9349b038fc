"""The order in which runs start: that of a plain rule, however many there are."""

import math
import random

import pytest

from mta_lab.launch.order import Order
from mta_lab.planning.runs import Run
from tests.config.helpers import config

CONFIG = config()


def run(row: str, seed: int) -> Run:
    return Run(row=row, seed=seed, config=CONFIG, content_hash="", fingerprint=f"{row} {seed}")


class Rule:
    """The rule, word for word: by seed, and in it the longest row, unknown ones first."""

    def __init__(self) -> None:
        self.came: list[Run] = []
        self.waiting: list[Run] = []
        self.seconds: dict[str, float] = {}

    def add(self, one: Run) -> None:
        self.came.append(one)
        self.waiting.append(one)

    def pop(self) -> Run:
        seeds = dict.fromkeys(one.seed for one in self.came)
        first = next(seed for seed in seeds if any(one.seed == seed for one in self.waiting))
        alike = [one for one in self.waiting if one.seed == first]
        found = max(alike, key=lambda one: self.seconds.get(one.row, math.inf))
        self.waiting.remove(found)
        return found


@pytest.mark.parametrize("draw", range(20))
def test_runs_start_as_the_rule_says_whatever_is_learned_and_added_on_the_way(draw: int) -> None:
    drawn, order, rule = random.Random(draw), Order(), Rule()
    late = [run(f"row {row}", seed) for seed in range(4) for row in range(8)]
    while late or len(order):
        for _ in range(drawn.choice([0, 1, 20]) if late else 0):
            if late:
                one = late.pop(0 if drawn.random() < 0.8 else -1)
                order.add(one)
                rule.add(one)
        if len(order):
            assert order.pop() is rule.pop()
        assert len(order) == len(rule.waiting)
        row, seconds = f"row {drawn.randrange(8)}", float(drawn.randrange(5))
        order.learn(row, seconds)
        rule.seconds[row] = seconds
