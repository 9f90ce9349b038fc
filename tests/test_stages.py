"""Stages of a row: how they are read, what identifies them, what becomes of them."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mta_lab.config import chain_of, fingerprint, flatten, identity_of, plain
from mta_lab.errors import UserError
from mta_lab.launch.queue import SweepQueue
from mta_lab.planning.runs import (
    Run,
    decider,
    identified,
    lost_records,
    refuse_lost_weights,
    states,
    to_train,
    why_stale,
    with_parents,
)
from mta_lab.results.records import Failure, Records
from mta_lab.scheduling import Study
from mta_lab.sweep import PlannedRun, Sweep
from tests.report.examples import example_record
from tests.test_sweep import load

LONGER = {"times": {"model.context": 2, "training.batch_size": 0.5}, "training.token_share": 0.1}
STAGES: dict[str, Any] = {
    "longer": {**LONGER, "model.rope_theta": 5e5, "training": {"weight_decay": 0.0}},
    "as it is": {"model.context": 256, "training.steps": 0},
    "cooler": {"times": {"training.learning_rate": 0.5}},
}
INSERTED: dict[str, Any] = {"name": "multi_token", "norm": "none"}
FILE: dict[str, Any] = {
    "stages": STAGES,
    "seeds": 2,
    "rows": {
        "plain": {"attention": "softmax"},
        "longer": {"attention": "softmax", "stages": ["longer"]},
        "as it is": {"attention": "softmax", "stages": "as it is"},
        "twice": {"attention": "talking_heads", "stages": ["longer", "cooler"]},
    },
}


def with_stage(**settings: Any) -> dict[str, Any]:
    return {"stages": {"one": settings}, "rows": {"a": {}, "b": {"stages": ["one"]}}}


def runs_of(sweep: Sweep) -> dict[str, Run]:
    """Return the runs of the first seed by row, and those that stages start from."""
    return {run.row: run for run in with_parents(identified(sweep, lambda run: "text")) if run.seed == 0}


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return load(tmp_path, FILE)


def test_a_stage_goes_on_from_the_run_before_it(sweep: Sweep) -> None:
    base, longer, cooler = chain_of(sweep.row("twice").config)
    assert (longer.model.context, longer.training.batch_size, longer.training.steps) == (256, 4, 102)
    assert (longer.model.rope_theta, longer.training.weight_decay) == (5e5, 0.0)
    assert longer.training.warmup_steps == base.training.warmup_steps // 10
    assert cooler.training.learning_rate == base.training.learning_rate / 2
    assert cooler.model == longer.model
    assert {one.attention.name for one in (base, longer, cooler)} == {"talking_heads"}


def test_a_stage_of_no_steps_is_scored_as_it_is(sweep: Sweep) -> None:
    training = sweep.row("as it is").config.training
    assert (training.steps, training.warmup_steps, training.validations) == (0, 0, 1)


def test_what_rows_share_is_one_run_under_the_name_of_its_row(sweep: Sweep) -> None:
    assert [row.name for row in sweep.staged.rows] == [
        "plain", "longer", "as it is", "twice, start", "twice, longer", "twice",
    ]  # fmt: skip
    runs = sweep.runs()
    assert len(runs) == 8
    parents = [run.parent.label if run.parent else None for run in runs[4:]]
    assert parents == [None, "plain seed 1", "plain seed 1", "twice, longer seed 1"]
    found = runs_of(sweep)
    assert found["longer"].parent == found["as it is"].parent == found["plain"]
    assert len({run.fingerprint for run in found.values()}) == len(sweep.staged.rows)


def test_a_chain_names_its_runs_in_order(sweep: Sweep) -> None:
    assert sweep.chains[0] == ["plain"]
    assert sweep.chains[-1] == ["twice, start", "twice, longer", "twice"]
    assert sweep.staged.chains[-2:] == [["twice, start", "twice, longer"], sweep.chains[-1]]


def test_each_stage_has_the_seed_of_its_run_and_batches_of_its_own(sweep: Sweep) -> None:
    run = sweep.runs()[-1]
    assert {config.seed for config in chain_of(run.config)} == {1}
    assert len({config.draws for config in chain_of(run.config)}) == 3


def test_the_command_line_changes_what_a_chain_starts_with(tmp_path: Path) -> None:
    found = load(tmp_path, FILE, "training.steps=20", "model.context=64")
    base, longer, _ = chain_of(found.row("twice").config)
    assert (base.training.steps, longer.training.steps) == (20, 2)
    assert longer.model.context == 128
    assert dict(found.settings) == {"training.steps": 20, "training.warmup_steps": 2, "model.context": 64}


def test_how_a_run_is_computed_holds_for_its_stages(tmp_path: Path) -> None:
    found = load(tmp_path, FILE, "training.recompute=blocks", "training.micro_batch=2")
    assert {one.training.recompute for one in chain_of(found.row("twice").config)} == {"blocks"}
    assert {one.training.micro_batch for one in chain_of(found.row("twice").config)} == {2}


def test_stages_are_varied_as_all_else_of_a_row(tmp_path: Path) -> None:
    row = {"grid": {"$arm": {"on": {"stages": ["longer"]}, "as it is": {"stages": "as it is"}}}}
    found = load(tmp_path, {"stages": STAGES, "rows": {"plain": {}, "plain, $arm": row}})
    assert [row.stages for row in found.rows] == [(), ("longer",), ("as it is",)]
    assert len(found.staged.rows) == 3


def test_a_condition_on_what_a_stage_sets_is_judged_by_the_stage(tmp_path: Path) -> None:
    file = with_stage(times={"model.context": 2})
    usual = load(tmp_path, file).rows[0].config.model.context
    file["rows"]["b"]["if"] = f"model.context > {usual}"
    assert load(tmp_path, file).left_out == {}
    file["rows"]["b"]["if"] = f"model.context == {usual}"
    assert [*load(tmp_path, file).left_out] == ["b"]


def test_a_difference_names_what_a_parent_has_alone(sweep: Sweep) -> None:
    assert sweep.row("twice").baseline == "plain"
    assert {key for key in sweep.row("longer").difference if key.startswith("parent.")} == set()
    assert flatten(sweep.row("longer").config)["parent.model.context"] == 128
    assert "parent.model.width" not in flatten(sweep.row("longer").config)


def test_a_chain_that_began_otherwise_is_a_difference(tmp_path: Path) -> None:
    rows = {"a": {"stages": "flat"}, "b": {"training.learning_rate": 0.5, "stages": "flat"}}
    found = load(tmp_path, {"stages": {"flat": {"training.learning_rate": 0.1}}, "rows": rows})
    assert dict(found.row("b").difference) == {"parent.training.learning_rate": 0.5}


def test_a_stage_inserts_operations_and_keeps_how_attention_is_computed(tmp_path: Path) -> None:
    file = with_stage(attention=INSERTED)
    found = load(tmp_path, file, "attention.dropout=0.1", "attention.impl=eager").row("b")
    base, stage = (one.attention for one in chain_of(found.config))
    assert (base.name, stage.name) == ("softmax", "multi_token")
    assert (stage.dropout, getattr(stage, "impl", "")) == (0.1, "eager")
    assert found.difference["attention.name"] == "multi_token"
    file["stages"]["one"]["attention"] = {**INSERTED, "dropout": 0.3}
    assert load(tmp_path, file, "attention.dropout=0.1").row("b").config.attention.dropout == 0.3


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown stage": (
        {"stages": STAGES, "rows": {"a": {"stages": ["longr"]}}},
        r"norms.json: rows.a: stages: no stage named 'longr'; did you mean 'longer'\? stages of this file: longer,",
    ),
    "no stages in the file": (
        {"rows": {"a": {"stages": "longer"}}},
        r"rows.a: stages: no stage named 'longer'; stages of this file: none",
    ),
    "a circle": (
        {"stages": STAGES, "rows": {"a": {"stages": ["longer", "cooler", "longer"]}}},
        r"rows.a: stages: goes round in a circle: 'longer' after 'cooler' after 'longer'; name each stage once",
    ),
    "a number": (
        {"stages": STAGES, "rows": {"a": {"stages": 1}}},
        r"rows.a: stages: got 1, allowed: a list of stages, like \[longer\]",
    ),
    "no names": ({"stages": STAGES, "rows": {"a": {"stages": []}}}, r"rows.a: stages: got \[\], allowed: a list"),
    "settings in a row": (
        {"rows": {"a": {"stages": [{"training.steps": 5}]}}},
        r"rows.a: stages: got .* allowed: a list of stages",
    ),
    "a list": ({"stages": ["longer"], "rows": {"a": {}}}, r"stages: got \['longer'\], allowed: a mapping"),
    "no mapping": ({"stages": {"one": 3}, "rows": {"a": {}}}, r"stages.one: got 3, allowed: a mapping of settings"),
    "nothing to change": ({"stages": {"one": {}}, "rows": {"a": {}}}, r"stages.one: got {}, allowed: a mapping"),
    "another width": (
        with_stage(**{"model.width": 128}),
        r"stages.one: model.width: stays that of the run before it, whose weights are kept; a stage may change "
        r"model.context, model.rope_theta, model.positions, training, data, task, evaluations, attention",
    ),
    "other positions": (
        with_stage(**{"model.positions": "alibi"}),
        r"stages.one: model.positions: got 'alibi' after 'rotary', allowed: the same, or rotary after rotary",
    ),
    "more learned positions": (
        {
            "stages": {"one": {"times": {"model.context": 2}}},
            "rows": {"a": {"model.positions": "learned", "stages": ["one"]}},
        },
        r"stages.one: model.context: got 256, but the run before has 'learned' positions for 128; allowed: up to 128",
    ),
    "a factor of the width": (with_stage(times={"model.width": 2}), r"stages.one: model.width: stays that of the run"),
    "another attention": (
        with_stage(attention="differential"),
        r"stages.one: attention.name: 'softmax' cannot go on as 'differential', which computes something else \(lambda "
        r"starts above zero and the output is always normalised\); allowed: that of the trained model",
    ),
    "a norm of the attention": (
        with_stage(attention="multi_token"),
        r"stages.one: attention.norm: got 'gate' after 'none', which changes the output before any step; allowed: that "
        r"of the trained model",
    ),
    "an operation that is not the identity": (
        with_stage(attention={**INSERTED, "post_softmax": [{"name": "key_query", "init": "zero"}]}),
        r"stages.one: attention.post_softmax: got 'key_query' with init: zero, which changes the output before any "
        r"step; allowed: init: identity",
    ),
    "an operation that is taken away": (
        {
            "stages": {"one": {"attention": {**INSERTED, "pre_softmax": ["key_query"]}}},
            "rows": {"a": {}, "b": {"attention": "talking_heads", "stages": "one"}},
        },
        r"stages.one: attention.pre_softmax: got no 'head_mixing' as the trained model has it on layer 1; "
        r"allowed: its operations in their order, and new ones",
    ),
    "no attention": (with_stage(attention="flash"), r"stages.one: attention: no attention named 'flash'"),
    "a seed": (with_stage(seed=3), r"stages.one: seed: stays that of the run before it"),
    "other starts": (with_stage(**{"model.initialiser": "depth_scaled"}), r"stages.one: model.initialiser: "),
    "a scale": (with_stage(scale="micro"), r"stages.one: scale: stays that of the run before it"),
    "a slip": (with_stage(**{"model.contxt": 256}), r"model.contxt: no such key; did you mean 'model.context'\?"),
    "a slip inside": (with_stage(**{"training.step": 5}), r"stages.one: training.step: no such key; did you mean"),
    "another stage's key": (with_stage(stages=["one"]), r"stages.one: stages: no such key"),
    "a wrong factor": (with_stage(times={"model.context": "2"}), r"stages.one: times.model.context: got '2', allowed"),
    "factors of nothing": (with_stage(times=3), r"stages.one: times: got 3, allowed: a mapping"),
    "a value and a factor": (
        with_stage(**{"model.context": 64, "times": {"model.context": 2}}),
        r"stages.one: model.context: is set and multiplied; keep one",
    ),
    "half a sequence": (
        with_stage(times={"training.batch_size": 0.3}),
        r"training.batch_size: got 2.4, allowed: a who",
    ),
    "an impossible value": (with_stage(**{"training.steps": -1}), r"stages.one: training.steps: got -1, allowed: 1 or"),
    "a warm-up of all steps": (
        with_stage(**{"training.steps": 50}),
        r"stages.one: training.warmup_steps: got 100, allowed: fewer than steps \(50\)",
    ),
    "no steps and no stage": ({"rows": {"a": {"training.steps": 0}}}, r"training.steps: got 0, allowed: 1 or more"),
    "beside a search": (
        {
            "stages": STAGES,
            "search": {"trials": 2, "space": {"rate": {"from": 0.5, "to": 2.0}}},
            "rows": {"a": {"times": {"training.learning_rate": "$rate"}}, "b": {"stages": ["cooler"]}},
        },
        r"search: row 'b' has stages, whose runs start from others; leave one of the two out",
    ),
    "beside tuning": (
        {"stages": STAGES, "tune": "training.learning_rate", "rows": {"b": {"stages": ["cooler"]}}},
        r"tune: row 'b' has stages",
    ),
    "a name that is taken": (
        {"stages": STAGES, "rows": {"a": {"stages": ["cooler"]}, "a, start": {"attention": "talking_heads"}}},
        r"rows.a, start: the name is kept for the run before a stage; choose another",
    ),
    "the same chain twice": (
        {"stages": STAGES, "rows": {"a": {"stages": ["cooler"]}, "b": {"stages": "cooler"}}},
        r"rows.b: has the same settings as row 'a'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_stage_that_cannot_be_is_refused_with_its_place(case: str, tmp_path: Path) -> None:
    file, said = BAD[case]
    with pytest.raises(UserError, match=said.replace("norms.json", "norms.yaml")) as refused:
        load(tmp_path, file)
    assert str(tmp_path) in str(refused.value) or "norms.yaml" in str(refused.value)


def name_of(run: Run, **changed: Any) -> str:
    """Return the fingerprint that a run would have with something else."""
    given = {"config": run.config, "content_hash": "text", "parent": run.parent.fingerprint if run.parent else ""}
    return fingerprint(**{**given, **changed})


def test_a_chain_is_identified_by_its_parents_name_and_its_own_settings(sweep: Sweep) -> None:
    run = runs_of(sweep)["twice"]
    assert run.parent
    assert name_of(run) == run.fingerprint
    other = replace(run.config, training=replace(run.config.training, weight_decay=0.3))
    changed = [name_of(run, content_hash="other"), name_of(run, parent="other"), name_of(run, config=other)]
    assert len({run.fingerprint, run.parent.fingerprint, *changed}) == 5


def test_another_text_of_the_first_run_makes_another_chain(sweep: Sweep) -> None:
    def named(text: str) -> list[str]:
        runs = identified(sweep, lambda run: text if run.row == "plain" else "text")
        return [run.fingerprint for run in runs if run.seed == 0]

    plain_row, longer, as_it_is, twice = zip(named("one"), named("two"), strict=True)
    assert [one == two for one, two in (plain_row, longer, as_it_is, twice)] == [False, False, False, True]


def test_a_row_without_stages_is_the_run_that_it_was(sweep: Sweep) -> None:
    run = runs_of(sweep)["plain"]
    assert "parent" not in plain(run.config)
    assert run.fingerprint == fingerprint(run.config, "text")


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "results")


def finish(records: Records, *runs: Run, weights: bool = True) -> None:
    for run in runs:
        parent = run.parent.fingerprint if run.parent else ""
        identity = vars(identity_of(run.config, "text", parent))
        known = {"content_hash": identity.pop("text"), "component_code": identity.pop("code"), **identity}
        records.finish(replace(example_record(run.fingerprint, 30.0, run.config), **known))
        if weights:
            records.weights(run.fingerprint).parent.mkdir(exist_ok=True)
            records.weights(run.fingerprint).touch()


def fail(records: Records, run: Run) -> None:
    records.fail(Failure(fingerprint=run.fingerprint, label=run.label, reason="RuntimeError: no", traceback=""))


def missing(runs: dict[str, Run], records: Records, *rows: str, rerun_stale: bool = False) -> list[str]:
    chosen = [runs[row] for row in rows]
    return [run.row for run in to_train(chosen, states(chosen, records), rerun_stale=rerun_stale)]


def test_what_a_stage_starts_from_is_trained_before_it_and_once(sweep: Sweep, records: Records) -> None:
    runs = runs_of(sweep)
    assert missing(runs, records, "twice") == ["twice, start", "twice, longer", "twice"]
    assert missing(runs, records, "longer", "as it is") == ["plain", "longer", "as it is"]
    finish(records, runs["twice, longer"])
    assert missing(runs, records, "twice") == ["twice"]  # its start is gone, and nobody needs it
    finish(records, runs["twice"])
    assert missing(runs, records, "twice") == []


def test_a_parent_that_failed_fails_its_stages(sweep: Sweep, records: Records) -> None:
    runs = runs_of(sweep)
    fail(records, runs["twice, start"])
    found = states([runs["twice"]], records)
    assert [found[run.fingerprint] for run in runs["twice"].chain] == ["failed"] * 3
    assert decider(runs["twice"], records) == runs["twice, start"]
    assert missing(runs, records, "twice") == []
    finish(records, runs["twice, longer"])  # merged from elsewhere: what came before it matters no more
    assert missing(runs, records, "twice") == ["twice"]


def test_weights_that_are_gone_are_said_with_what_to_type(sweep: Sweep, records: Records) -> None:
    runs = runs_of(sweep)
    finish(records, runs["plain"], weights=False)
    to_do = [runs["longer"]]
    with pytest.raises(UserError) as refused:
        refuse_lost_weights(to_do, states(to_do, records), records)
    name, folder = runs["plain"].fingerprint, re.escape(str(records.directory))
    said = rf"plain seed 0: its weights are gone, .*\({folder}/weights/{name}.pt\); .* rm {folder}/runs/{name}.json"
    assert re.search(said, str(refused.value))


def test_a_record_that_is_gone_is_said_where_its_run_is_trained_again(sweep: Sweep, records: Records) -> None:
    runs = runs_of(sweep)
    finish(records, runs["plain"])
    records.file(runs["plain"].fingerprint).unlink()
    chosen = [runs["plain"], runs["longer"], runs["twice, start"], runs["twice, longer"]]
    (line,) = lost_records(chosen, records)
    assert line.startswith("plain seed 0: its record is gone (")
    assert lost_records([runs["longer"]], records) == []


def test_a_stage_whose_parent_changed_is_stale_and_says_so(sweep: Sweep, records: Records) -> None:
    runs, old = runs_of(sweep), identified(sweep, lambda run: "text" if run.row == "longer" else "old")
    finish(records, *(run for run in old if run.row == "longer" and run.seed == 0))
    assert states([runs["longer"]], records)[runs["longer"].fingerprint] == "stale"
    assert why_stale(runs["longer"], records) == "the run that it starts from"
    assert missing(runs, records, "longer") == []
    assert missing(runs, records, "longer", rerun_stale=True) == ["plain", "longer"]


def test_a_stage_of_a_stale_run_waits_for_it(sweep: Sweep, records: Records) -> None:
    runs = runs_of(sweep)
    record = example_record("0" * 16, 30.0, runs["plain"].config)
    records.finish(replace(record, engine=1))
    assert states([runs["longer"]], records)[runs["longer"].fingerprint] == "stale"
    assert why_stale(runs["longer"], records).startswith("engine version")


@pytest.fixture
def queue(sweep: Sweep, tmp_path: Path) -> tuple[SweepQueue, dict[str, Run], list[str]]:
    runs, said = runs_of(sweep), list[str]()
    chosen = [runs[row] for row in ("twice, start", "twice, longer", "twice", "plain", "longer", "as it is")]
    study = Study(tmp_path / "journal", "stages", pytest.fail)
    return SweepQueue(chosen, study, said.append), runs, said


def taken(queue: SweepQueue) -> list[str]:
    rows = []
    while run := queue.next():
        rows.append(run.row)
    return rows


def test_the_queue_gives_a_stage_after_the_run_it_starts_from(
    queue: tuple[SweepQueue, dict[str, Run], list[str]],
) -> None:
    order, runs, _ = queue
    assert taken(order) == ["twice, start", "plain"]
    assert order.left() == 4
    for row, following in {"plain": ["longer", "as it is"], "twice, start": ["twice, longer"]}.items():
        order.finished(runs[row], example_record(runs[row].fingerprint, 30.0, runs[row].config))
        assert taken(order) == following


def test_the_queue_waits_for_a_run_that_is_tried_again(queue: tuple[SweepQueue, dict[str, Run], list[str]]) -> None:
    order, runs, _ = queue
    taken(order)
    order.requeue(runs["plain"], "killed")
    assert taken(order) == ["plain"]


def test_the_queue_gives_up_the_stages_of_a_run_that_failed(
    queue: tuple[SweepQueue, dict[str, Run], list[str]],
) -> None:
    order, runs, said = queue
    taken(order)
    order.failed(runs["twice, start"], "RuntimeError: no")
    start = "twice, start seed 0 failed, and with it what starts from it"
    assert said == [f"{start}: twice, longer seed 0, twice seed 0"]
    order.failed(runs["plain"], "RuntimeError: no")
    assert order.left() == 0


def test_a_record_of_a_stage_names_its_parent(sweep: Sweep, records: Records) -> None:
    run = runs_of(sweep)["twice"]
    finish(records, run)
    record = records.finished(run.fingerprint)
    assert record
    assert run.parent
    assert record.parent == run.parent.fingerprint
    assert record.config["parent"]["parent"]["attention"]["name"] == "talking_heads"
    content = json.loads(records.file(run.fingerprint).read_text())
    records.file(run.fingerprint).write_text(json.dumps({**content, "parent": ""}))
    with pytest.raises(
        UserError, match=r"parent: allowed: the fingerprint of the run whose settings config\.parent has"
    ):
        Records(records.directory).finished(run.fingerprint)


def test_a_planned_run_may_be_any(sweep: Sweep) -> None:
    assert PlannedRun(row="a", seed=0, config=sweep.rows[0].config).parent is None
