"""`mta-lab bench`, run for real on tiny shapes. No time is pinned: only what must hold of any."""

import json
import statistics
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from components import FAMILIES
from components.kernels.cpu import library
from mta_lab.bench import generate, op, plot, step
from mta_lab.bench.process import Laboratory
from mta_lab.errors import UserError
from mta_lab.sweep.ledger import ledger
from tests.cli.conftest import Command

TINY = ("model.width=16", "model.heads=2", "model.layers=4", "model.context=16", "training.batch_size=1")
VARIANT = '''
from components.attention import AttentionConfig, Softmax
from components.registry import register

@register("attention", "mine")
class Mine(AttentionConfig):
    """Softmax under another name."""

    def build(self, *, width, heads, layer, layers):
        return Softmax().build(width=width, heads=heads, layer=layer, layers=layers)
'''


def measured(lab: Command, *arguments: str) -> tuple[str, dict[str, Any]]:
    """Return what a bench printed and what it wrote."""
    done = lab("bench", *arguments, "--rounds", "2", "--json", "out.json")
    assert (done.status, done.err) == (0, "")
    tree: dict[str, Any] = json.loads(Path("out.json").read_text())
    return done.out, tree


def check(tree: dict[str, Any], quantities: set[str]) -> None:
    """Every contestant has every quantity, and every ratio is the quotient of its medians."""
    assert {"machine", "threads", "torch", "commit", "dtype"} <= tree["provenance"].keys()
    for comparison in tree["comparisons"]:
        first, *_ = comparison["contestants"]
        assert first["name"] == comparison["baseline"]
        for contestant in comparison["contestants"]:
            assert set(contestant["measures"]) == quantities
            for quantity, measure in contestant["measures"].items():
                below = first["measures"][quantity]["median"]
                low, high = measure["quartiles"]
                assert measure["median"] == statistics.median(measure["values"])
                assert low <= measure["median"] <= high
                assert measure["ratio"] == (measure["median"] / below if below else None)
                assert len(measure["values"]) == (1 if measure["unit"] == "bytes" else 2)
                assert measure["unit"] == "bytes" or min(measure["values"]) > 0


def test_operations_are_compared_in_every_implementation(lab: Command) -> None:
    out, tree = measured(lab, "op", "--shape", "1,2,24,4", "--shape", "2,4,8,4")
    check(tree, {"forward", "forward + backward", "memory"})
    assert (tree["level"], tree["provenance"]["dtype"]) == ("op", "float32")
    cases = [(one["settings"]["operations"], one["settings"]["tokens"]) for one in tree["comparisons"]]
    assert cases == [(name, tokens) for tokens in (24, 8) for name in op.OPERATIONS]
    here = {"sdpa", "eager", "streaming"} | ({"fused"} if library.unavailable() is None else set())
    for one in tree["comparisons"]:
        found = {contestant["name"]: contestant for contestant in one["contestants"]}
        assert found.keys() == here
        eager, streaming = (found[name]["measures"]["forward + backward"]["median"] for name in ("eager", "streaming"))
        assert found["streaming"]["facts"]["eager takes"] == f"{eager / streaming:.1f} x"
        assert found["eager"]["facts"]["eager takes"] == "1.0 x"
    assert tree["provenance"]["machine"] in out
    assert tree["provenance"]["commit"] in out


def test_allocators_settings_are_said(lab: Command) -> None:
    for option, says in (([], "plain"), (["--allocator", "workers"], "workers")):
        out, tree = measured(lab, "op", *option, "--shape", "1,2,8,4")
        assert tree["provenance"]["allocator"] == says
        assert f"allocator: {says}" in " ".join(out.split())


def test_absent_kernel_is_said(lab: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "unavailable", lambda: "not built")
    out, tree = measured(lab, "op", "--shape", "1,2,8,4")
    assert "fused does not take part: the fused kernel cannot be loaded (not built)" in " ".join(out.split())
    assert all(contestant["name"] != "fused" for one in tree["comparisons"] for contestant in one["contestants"])


def test_larger_maps_take_more_memory_where_they_are_stored(lab: Command) -> None:
    _, tree = measured(lab, "op", "--shape", "2,8,256,16")
    found = {one["name"]: one["measures"]["memory"]["median"] for one in tree["comparisons"][0]["contestants"]}
    one_map = 4 * 2 * 8 * 256 * 256
    assert found["eager"] > 4 * one_map, "both convolutions and both mixings keep their maps for the backward pass"
    assert found["eager"] > 2 * found["sdpa"]


def test_steps_of_every_variant_beside_the_paper(lab: Command) -> None:
    Path("mine.py").write_text(VARIANT)
    _, tree = measured(lab, *TINY, "attention.impl=eager", "--components", "mine.py")
    check(tree, {"step", "memory"})
    (comparison,) = tree["comparisons"]
    contestants = {one["name"]: one for one in comparison["contestants"]}
    assert comparison["baseline"] == "softmax by sdpa"
    assert set(contestants) == {"softmax by sdpa", *FAMILIES["attention"].names()}
    assert "mine" in contestants
    assert contestants["multi_token"]["facts"]["attention computed by"] == "eager"
    assert contestants["softmax by sdpa"]["facts"]["attention computed by"] == "sdpa"
    assert any("attention.impl is a setting of" in note and "mine" not in note for note in comparison["notes"])
    assert contestants["mine"]["measures"]["step"]["published_ratio"] is None
    assert contestants["multi_token"]["measures"]["step"]["published_ratio"] == pytest.approx(54.3 / 5.7)
    assert contestants["multi_token"]["measures"]["memory"]["published_ratio"] == pytest.approx(73.8 / 17.5)


def test_one_variant_beside_the_baseline(lab: Command) -> None:
    _, tree = measured(lab, "step", *TINY, "attention=talking_heads", "training.precision=bf16")
    assert [one["name"] for one in tree["comparisons"][0]["contestants"]] == ["softmax by sdpa", "talking_heads"]
    assert "bfloat16" in tree["provenance"]["dtype"]


@pytest.mark.real  # it starts ten commands
def test_engine_plans_launches_and_answers(lab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta_lab.bench.engine.RUNS", (10, 20))
    monkeypatch.setattr("mta_lab.bench.launches.FEW", 1)
    monkeypatch.setattr("mta_lab.bench.launches.MANY", 3)
    monkeypatch.setattr("mta_lab.bench.launches.RUNS", 2)
    monkeypatch.setattr("mta_lab.bench.launches.STEPS", 2)
    monkeypatch.setattr("mta_lab.bench.launches.FINISHED", (1, 2))
    _, tree = measured(lab, "engine")
    found = [
        {
            one["name"]: {name: len(measure["values"]) for name, measure in one["measures"].items()}
            for one in contestants
        }
        for contestants in (comparison["contestants"] for comparison in tree["comparisons"])
    ]
    assert found == [
        {"10 runs": {"plan": 2}, "20 runs": {"plan": 2}},
        *[{"1 run": {"launch": 1}, "3 runs": {"launch": 1}}] * (2 if find_spec("ray") else 1),
        {"2 runs": {"launch": 1}},
        {"1 run": {"answer": 2}, "4 runs": {"answer": 2}},
    ]
    assert "the workers were busy" in tree["comparisons"][-2]["notes"][0]
    assert not Path("mlflow.db").exists()
    assert not Path("results").exists()


MISTAKES = {
    "level": ("stp", "no level named 'stp'; did you mean 'step'? levels: op, step, generate, engine"),
    "settings of op": ("op model.width=8", "allowed: no settings"),
    "shape": ("op --shape 1,2,3", "allowed: batch,heads,tokens,head width"),
    "odd heads": ("op --shape 1,3,8,4", "an even number of heads"),
    "shape of step": ("step --shape 1,2,3,4", "--shape is for level op only"),
    "allocator of engine": ("engine --allocator plain", "--allocator is for levels op and step only"),
    "allocator": ("op --allocator plane", "did you mean 'plain'? allowed: plain, workers"),
    "plot of step": ("--plot here", "--plot is for the level op only"),
    "key of all": ("step model.headz=3", "did you mean 'model.heads'?"),
    "key of attention": ("attention.imp=eager", "did you mean 'attention.impl'?"),
    "value of attention": ("attention.impl=eagre", "allowed: 'auto', 'sdpa'"),
    "variant": ("attention=multi_tokn", "did you mean 'multi_token'?"),
    "scale": ("step --scale smal", "did you mean 'small'?"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_answered_in_one_line(name: str, lab: Command, tmp_path: Path) -> None:
    arguments, says = MISTAKES[name]
    assert says in lab("bench", *arguments.split()).complaint
    assert not list(tmp_path.iterdir())


def test_curves_are_drawn(tmp_path: Path) -> None:
    laboratory, told = Laboratory({}), []
    shape = op.Shape(1, 2, 16, 4)
    tokens = op.against_tokens(laboratory, shape, (8, 16), 1, lambda *progress: told.append(progress))
    kernels = op.against_kernels(laboratory, shape, 1, lambda *progress: told.append(progress))
    plot.against_tokens(tmp_path / "new" / "tokens.svg", tokens, "on this machine")
    plot.against_kernels(tmp_path / "new" / "kernel.svg", kernels, "on this machine")
    for name, marks in (("tokens", ("8", "16")), ("kernel", ("6x11", "8x13"))):
        drawn = (tmp_path / "new" / f"{name}.svg").read_text()
        for text in ("on this machine", "eager", "sdpa", *marks):
            assert f"<!-- {text} -->" in drawn  # letters are drawn, and said beside it
    assert told[0][1:] == (0, 2)


def test_slow_contestant_drops_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(op, "PATIENCE", 0.0)
    first, second = op.against_tokens(Laboratory({}), op.Shape(1, 2, 8, 4), (8, 16), 1, lambda *_: None)
    assert len(first.contestants) > 2
    assert [one.name for one in second.contestants] == [op.BASELINE]
    assert any("eager stops at" in note for note in second.notes)


def die() -> None:
    raise SystemExit(7)


def test_process_that_dies_is_a_users_error() -> None:
    with pytest.raises(UserError, match="exit code 7"):
        Laboratory({}).call(die)


def test_ledger_holds_table_9() -> None:
    table = ledger()["table9"]
    typed = {
        "transformer": (17.5, 25.0, 54.3),
        "differential": (21.6, 8.4, 17.6),
        "talking_heads": (63.0, 6.9, 14.6),
        "multi_token": (73.8, 2.6, 5.7),
    }
    assert {name: tuple(row.values()) for name, row in table.items()} == typed
    assert {reference.removeprefix("table9.") for reference in step.TABLE_9.values()} == set(typed)


def test_a_further_token_is_compared_with_and_without_a_cache(lab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "TOKENS", (40,))
    out, tree = measured(lab, "generate")
    check(tree, {"a token"})
    (comparison,) = tree["comparisons"]
    names = [one["name"] for one in comparison["contestants"]]
    assert names[0] == "Transformer"
    assert {"MTA", "MTA, all queries kept", "MTA, no cache"} < set(names)
    assert all(float(one["facts"]["tokens/s"].replace(",", "")) > 0 for one in comparison["contestants"])
    assert "a further token in a sequence of 40" in out
