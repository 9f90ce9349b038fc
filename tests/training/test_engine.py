"""ENGINE stands for what training computes: a curve that moves needs another number."""

import json

import pytest

from mta_lab.identity import ENGINE
from tests.training.curves import COMMAND, FILE, TASKS, Curves, measured

KNOWN = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def curves() -> Curves:
    return measured()


def test_the_curves_are_those_of_this_engine() -> None:
    assert KNOWN["engine"] == ENGINE, f"ENGINE was raised: record what it computes with `{COMMAND}`"


@pytest.mark.parametrize("task", TASKS)
def test_training_computes_what_it_did_under_this_engine(task: str, curves: Curves) -> None:
    expected = KNOWN["curves"][task]
    same = len(curves[task]) == len(expected) and all(
        step == then and value == pytest.approx(known, rel=1e-6)
        for (step, value), (then, known) in zip(curves[task], expected, strict=True)
    )
    assert same, (
        f"the decoder, initialisation, batches or training compute otherwise than under engine {ENGINE}: results of "
        f"before are no longer those of today. If that is meant, raise ENGINE in mta_lab/identity.py, then "
        f"record the new curves with `{COMMAND}`.\nnow: {curves[task]}\nthen: {expected}"
    )
