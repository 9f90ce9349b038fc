"""The identity of a launch's runs, and the order in which they start."""

from pathlib import Path

import pytest

from mta_lab.config import fingerprint
from mta_lab.data import Corpus, Domain
from mta_lab.errors import UserError
from mta_lab.launch.order import Order
from mta_lab.planning.runs import Run, runs_of
from mta_lab.sweep import PlannedRun, single_run
from tests.config.helpers import config


def order(rows: str, seeds: int, seconds: dict[str, float]) -> list[str]:
    """The labels of all runs in the order they would start."""
    runs = [PlannedRun(row=row, seed=seed, config=config()) for seed in range(seeds) for row in rows.split()]
    waiting = Order(
        Run(row=run.row, seed=run.seed, config=run.config, content_hash="0", fingerprint=run.label) for run in runs
    )
    for row, known in seconds.items():
        waiting.learn(row, known)
    started = [waiting.pop() for _ in runs]
    return [f"{run.row}{run.seed}" for run in started]


def test_nothing_is_known_at_first_and_the_sweeps_order_counts() -> None:
    assert order("a b c", 2, {}) == ["a0", "b0", "c0", "a1", "b1", "c1"]


def test_within_a_seed_the_longest_go_first_and_seeds_stay_in_order() -> None:
    assert order("a b c", 2, {"a": 1.0, "b": 3.0, "c": 2.0}) == ["b0", "c0", "a0", "b1", "c1", "a1"]


def test_what_is_unknown_goes_before_what_is_known() -> None:
    assert order("a b c", 1, {"a": 9.0, "c": 2.0}) == ["b0", "a0", "c0"]


def corpus(valid_tokens: int) -> Corpus:
    sizes = {"documents": 2, "train_bytes": 1, "valid_bytes": 1}
    domains = (
        Domain(name="long", proxy="", sources=(), train_tokens=9000, valid_tokens=9000, **sizes),
        Domain(name="short", proxy="", sources=(), train_tokens=9000, valid_tokens=valid_tokens, **sizes),
    )
    name = "text"
    return Corpus(directory=Path(), name=name, content_hash="abc", vocabulary=512, end_of_text=0, domains=domains)


def runs(text: Corpus | None, *settings: str) -> list[Run]:
    """The run of one run under SIZES: context 32, 1024 validation tokens."""

    def open_corpus(run: PlannedRun) -> Corpus:
        assert text is not None, "text was asked for"
        return text

    return runs_of(single_run(config("data.path=mine", *settings)), open_corpus)


def test_text_identifies_a_run_that_reads_it() -> None:
    (run,) = runs(corpus(2050))
    assert (run.content_hash, run.fingerprint) == ("abc", fingerprint(config(), "abc"))


def test_a_synthetic_task_opens_no_text() -> None:
    toy = ("task={name: find_block, blocks: 3}", "model.vocabulary=28")
    (run,) = runs(None, *toy)
    assert (run.content_hash, run.fingerprint) == ("", fingerprint(config(*toy), ""))


def test_held_out_text_too_short_for_valid_and_test_is_refused_before_anything_starts() -> None:
    assert len(runs(corpus(2050), "data.evaluate=test")) == len(runs(corpus(100))) == 1
    with pytest.raises(UserError, match=r"^softmax seed 0: data.evaluate: .*there are 2049 of domain 'short'$"):
        runs(corpus(2049), "data.evaluate=test")


def test_context_that_a_text_cannot_fill_is_refused_before_anything_starts() -> None:
    with pytest.raises(UserError, match=r"model.context: got 32, allowed: fewer than the 32 tokens of domain 'short'$"):
        runs(corpus(32))


def test_shares_of_domains_that_the_text_lacks_are_refused_before_anything_starts() -> None:
    (run,) = runs(corpus(2050), "data.mixture={long: 1, short: 0}")
    assert run.fingerprint != fingerprint(config(), "abc")
    with pytest.raises(UserError, match=r"^softmax seed 0: data.mixture: no domain .*'shirt'; did you mean 'short'\?"):
        runs(corpus(2050), "data.mixture={long: 1, shirt: 0}")
