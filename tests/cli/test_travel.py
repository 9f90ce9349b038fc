"""Results that were taken elsewhere: reported without their text, listed, merged and archived."""

import json
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from components.metrics import Scores
from mta_lab.config import fingerprint
from mta_lab.data import Corpus
from mta_lab.results import exchange
from mta_lab.results.records import Failure, Records
from mta_lab.scheduling import Trials
from mta_lab.sweep import load_sweep
from mta_lab.sweep.search import Range
from tests.cli.conftest import Command
from tests.report.examples import example_record

OWN = "data.path=mine"
SCORES = {"transformer": (31.0, 31.5, 30.8), "1x1": (31.1, 31.4, 30.9), "4x9": (30.1, 30.6)}
Names = Mapping[tuple[str, int], str]


def train(records: Records, content_hash: str, *rows: str) -> Names:
    """Made-up results on a text of that hash, of some rows of `kernel_sizes`."""
    names = {}
    for run in load_sweep("kernel_sizes", scale="nano", settings=[OWN]).runs():
        scores = SCORES.get(run.row, ())
        if run.seed < len(scores) and run.row in (rows or SCORES):
            name = names[run.row, run.seed] = fingerprint(run.config, content_hash)
            record = example_record(name, scores[run.seed], run.config)
            records.finish(replace(record, content_hash=content_hash))
    return names


@pytest.fixture
def elsewhere(lab: Command, corpus: Corpus) -> Path:
    """A directory with finished runs; the text and what was prepared of it are gone."""
    train(Records(), corpus.content_hash)
    shutil.rmtree("data")
    shutil.rmtree("mine")
    return Path("results")


def test_a_report_needs_no_text(lab: Command, elsewhere: Path, corpus: Corpus) -> None:
    done = lab("report", "kernel_sizes", OWN, "--format", "json")
    assert done.status == 0
    rows = {row["row"]: row for row in json.loads(done.out)["rows"]}
    assert {name: tuple(rows[name]["scores"].values()) for name in SCORES} == SCORES
    remark = f"he text is not prepared here; the finished runs read the one with the hash {corpus.content_hash[:16]}"
    assert f"kernel_sizes: t{remark}" in done.err
    assert f"- T{remark}." in lab("report", "kernel_sizes", OWN, "--format", "markdown").out
    assert json.loads(lab("report", "kernel_sizes", OWN, "--format", "json").out)["remarks"] == [f"t{remark}"]
    lab("report", "kernel_sizes", OWN, "--html")
    assert f"T{remark}." in Path("results/pages/kernel_sizes-nano-data.path=mine.html").read_text()


def test_plan_status_and_why_know_what_is_finished_without_its_text(lab: Command, elsewhere: Path) -> None:
    assert "7 of 15 runs" in lab("sweep", "kernel_sizes", OWN, "--dry-run").out
    assert "8" in lab("status", "kernel_sizes", OWN).out.split("all")[-1]
    assert "4x9 seed 0: finished" in lab("why", "kernel_sizes", "4x9", OWN).out


def test_runs_of_two_texts_are_not_mixed(lab: Command, elsewhere: Path, corpus: Corpus) -> None:
    train(Records(), "f" * 64, "1x1")
    said = lab("report", "kernel_sizes", OWN).complaint
    assert f"read 2 texts ({corpus.content_hash[:16]}: 8 runs" in said.replace(f"({'f' * 16}", "(")
    assert f"{'f' * 16}: 3 runs" in said


def test_a_text_of_stale_runs_does_not_stand_in_the_way(lab: Command, elsewhere: Path) -> None:
    config = load_sweep("kernel_sizes", scale="nano", settings=[OWN]).runs()[0].config
    Records().finish(replace(example_record("0" * 16, 40.0, config), content_hash="e" * 64, engine=1))
    done = lab("report", "kernel_sizes", OWN, "--format", "json")
    assert done.status == 0
    assert json.loads(done.out)["runs"]["finished"] == 8


def test_a_path_that_never_was_is_a_mistake_still(lab: Command, elsewhere: Path) -> None:
    done = lab("report", "kernel_sizes", "data.path=mien")
    elsewhere_said, mistake = done.err.splitlines()
    assert (done.status, done.out) == (2, "")
    assert "8 of 15 runs are finished under nano, data.path=mine: " in elsewhere_said
    assert mistake.startswith("mta-lab: data.path: ")


def test_results_are_listed_with_their_sweeps_and_texts(
    lab: Command, elsewhere: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(Records(), "f" * 64, "1x1")
    done = lab("results", "list")
    assert (done.status, done.err) == (0, "")
    for text in (corpus.content_hash[:16], "f" * 16):
        assert text in done.out
    assert "runs: 11 files" in done.out
    monkeypatch.setattr("mta_lab.cli.terminal.LOG_WIDTH", 80)
    narrow = lab("results", "list").out
    assert "…" not in narrow
    assert {"engine", "runs", "settings", "from", "to"} <= set(narrow.split())


def test_results_of_a_shipped_sweep_are_counted_under_its_name(lab: Command) -> None:
    (run, *_) = load_sweep("kernel_sizes", scale="nano").runs()
    Records().finish(example_record("0123456789abcdef", 30.0, run.config))
    said = lab("results", "list").out
    assert "kernel_sizes (nano): 1 of 15 runs" in said
    assert "toy_task (nano)" not in said


def test_listing_nothing_says_so(lab: Command) -> None:
    assert lab("results", "list").out == "nothing is finished in results\n"


@pytest.fixture
def other(lab: Command) -> Records:
    """Another directory's results: one run as here, one that is new, one with another result."""
    ours, theirs = Records(), Records(Path("other", "results"))
    names = train(ours, "text", "transformer", "1x1")
    train(theirs, "text")
    record = theirs.finished(names["1x1", 0])
    assert record
    theirs.finish(replace(record, score=99.0, domains=dict.fromkeys(record.domains, 99.0)))
    return theirs


def test_merging_takes_what_is_new_and_keeps_what_differs(lab: Command, other: Records) -> None:
    done = lab("results", "merge", "other/results")
    assert done.status == 1
    assert "2 files added, 5 the same" in done.out
    names = train(Records(Path("again")), "text")
    conflict = f"runs/{names['1x1', 0]}.json"
    assert conflict in done.out
    kept, new = (Records().finished(names[run]) for run in (("1x1", 0), ("4x9", 1)))
    assert kept
    assert new
    assert (kept.score, new.score) == (31.1, 30.6)


def test_merging_again_changes_nothing_and_replacing_is_asked_for(lab: Command, other: Records) -> None:
    lab("results", "merge", "other/results")
    assert "0 files added" in lab("results", "merge", "other/results").out
    done = lab("results", "merge", "other/results", "--replace")
    assert (done.status, "1 replaced" in done.out) == (0, True)
    assert 99.0 in [record.score for record in Records().all_finished()]
    assert "0 files added, 8 the same" in lab("results", "merge", "other/results").out


@pytest.mark.parametrize("here", [(), ("token_accuracy",), ("error_rate",)])
def test_what_a_run_was_asked_here_and_elsewhere_is_joined(here: tuple[str, ...], lab: Command, other: Records) -> None:
    name = train(Records(), "text", "transformer")["transformer", 0]
    answer = Scores(domains={"book": 0.25}, scored={"book": 100})
    for records, asked in ((Records(), here), (other, ("error_rate",))):
        for metric in asked:
            records.add_scores(name, metric, answer)
    done = lab("results", "merge", "other/results", "--replace")
    assert ("1 joined" in done.out) == (here != ("error_rate",))
    joined = Records().finished(name)
    assert joined
    assert set(joined.further) == {*here, "error_rate"}
    assert "joined" not in lab("results", "merge", "other/results", "--replace").out


def test_records_that_no_question_was_put_to_and_those_of_other_versions_are_merged(
    lab: Command, other: Records
) -> None:
    names = train(Records(Path("again")), "text")
    here, there = (records.file(names["transformer", 0]) for records in (Records(), other))
    record = json.loads(here.read_text())
    asked_nothing = json.dumps({key: value for key, value in record.items() if key not in exchange.ADDED_LATER})
    for file in (here, there):
        file.write_text(asked_nothing)
    newer = other.file(names["transformer", 1])
    newer.write_text(json.dumps({**json.loads(newer.read_text()), "evaluated": None, "of_a_later_version": 1}))
    done = lab("results", "merge", "other/results")
    assert "2 files added, 4 the same" in done.out
    assert f"runs/{newer.name}" in done.out
    assert here.read_text() == asked_nothing


def test_failures_and_weights_are_taken_where_they_are_asked_for(lab: Command, other: Records) -> None:
    names = train(Records(Path("again")), "text")
    gone, finished = "a" * 16, names["transformer", 0]
    for name in (gone, finished):
        other.fail(Failure(fingerprint=name, label="a run", reason="no", traceback=""))
    for run in (("4x9", 0), ("1x1", 0)):  # new here; in conflict
        path = other.weights(names[run])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
    lab("results", "merge", "other/results")
    assert not Records().failed(gone)
    assert not Records().weights(names["4x9", 0]).exists()
    lab("results", "merge", "other/results", "--failures", "--weights")
    assert Records().failed(gone)
    assert not Records().failed(finished)
    assert Records().weights(names["4x9", 0]).read_bytes() == b"weights"
    assert not Records().weights(names["1x1", 0]).exists()


def test_damaged_records_of_others_are_named_and_left_out(lab: Command, other: Records) -> None:
    file = Path("other", "results", "runs", f"{'b' * 16}.json")
    file.write_text("{torn")
    shutil.copy(next(iter(file.parent.glob("*.json"))), file.with_name("renamed.json"))
    done = lab("results", "merge", "other/results")
    assert f"runs/{file.name}" in done.out
    assert "runs/renamed.json" in done.out
    assert not Path("results", "runs", file.name).exists()


def test_a_record_that_is_damaged_here_is_replaced_by_the_others(lab: Command, other: Records) -> None:
    lab("results", "merge", "other/results", "--replace")
    file = next(Path("results/runs").glob("*.json"))
    whole = file.read_text()
    for damaged in ("", "{", whole.replace(file.stem, "0" * 16)):
        file.write_text(damaged)
        assert "1 replaced" in lab("results", "merge", "other/results").out
        assert file.read_text() == whole


@pytest.mark.parametrize("output", ["folder", "results/runs/a.json", "results", "file/below.tar.gz"])
def test_an_archive_overwrites_no_result_and_no_folder(output: str, lab: Command, elsewhere: Path) -> None:
    Path("folder").mkdir()
    Path("file").write_text("")
    done = lab("results", "archive", "kernel_sizes", OWN, "--output", output)
    assert done.status == 2
    assert output in done.err
    assert "Traceback" not in done.err


def test_merging_takes_searches_along_and_keeps_those_that_differ(lab: Command, other: Records) -> None:
    journals = [records.directory / "optuna.journal" for records in (Records(), other)]
    for name, journal in (("theirs", journals[1]), ("both", journals[0]), ("both", journals[1])):
        trials = Trials.opened(journal, name, pytest.fail)
        trials.finish(trials.ask({"rate": Range(0.5, 2.0)})[0], 3.0)
    done = lab("results", "merge", "other/results", "--replace")
    assert (done.status, done.out.splitlines()[1:]) == (0, ["searches added: theirs", "searches replaced: both"])
    trials = Trials.opened(journals[1], "both", pytest.fail)
    trials.finish(trials.ask({"rate": Range(0.5, 2.0)})[0], 2.0)
    trials = Trials.opened(journals[0], "both", pytest.fail)
    trials.finish(trials.ask({"rate": Range(0.5, 2.0)})[0], 1.0)
    done = lab("results", "merge", "other/results")
    assert (done.status, done.out.count("the same search with other trials in both")) == (1, 1)


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        ("absent", "absent: does not exist"),
        ("mine.tar.gz", "unpack an archive (tar xzf mine.tar.gz) and name the folder `results` in it"),
        ("other", "did you mean other/results?"),
        ("results", "is the results directory here"),
    ],
)
def test_what_cannot_be_merged_is_a_mistake(directory: str, said: str, lab: Command, other: Records) -> None:
    Path("mine.tar.gz").write_bytes(b"")
    assert said in lab("results", "merge", directory).complaint


@pytest.mark.parametrize("in_the_way", ["a file", "a link to itself", "a link to nothing"])
def test_a_disk_that_refuses_is_one_line_with_the_file(in_the_way: str, lab: Command, elsewhere: Path) -> None:
    shutil.copytree(elsewhere, "other/results")
    weights = Path("other/results/weights")
    weights.mkdir(exist_ok=True)
    for record in Path("other/results/runs").iterdir():
        (weights / f"{record.stem}.pt").write_bytes(b"weights")
    shutil.rmtree("results/weights", ignore_errors=True)
    if in_the_way == "a file":
        Path("results/weights").write_text("")
    else:
        Path("results/weights").symlink_to("weights" if in_the_way == "a link to itself" else "/dev/null/nowhere")
    done = lab("results", "merge", "other/results", "--weights")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert done.err.startswith("mta-lab: results/weights")


def test_an_archive_is_reported_elsewhere_and_merged(
    lab: Command, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = lab("results", "archive", "kernel_sizes", OWN)
    assert (done.status, "8 runs" in done.out) == (0, True)
    first = Path("kernel_sizes-nano-data.path=mine.tar.gz").read_bytes()
    lab("results", "archive", "kernel_sizes", OWN, "--output", "kernel_sizes-nano-data.path=mine.tar.gz")
    assert Path("kernel_sizes-nano-data.path=mine.tar.gz").read_bytes() == first
    there = tmp_path / "there"
    with tarfile.open("kernel_sizes-nano-data.path=mine.tar.gz") as packed:
        packed.extractall(there, filter="data")
    monkeypatch.chdir(there / "kernel_sizes-nano-data.path=mine")
    assert {"README.txt", "report.html", "report.md", "table.json", "results"} <= {
        path.name for path in Path().iterdir()
    }
    report = lab("report", "kernel_sizes", OWN, "--format", "json")
    assert json.loads(report.out) == json.loads(Path("table.json").read_text())
    monkeypatch.chdir(there)
    assert lab("results", "merge", "kernel_sizes-nano-data.path=mine/results").status == 0
    assert json.loads(lab("report", "kernel_sizes", OWN, "--format", "json").out)["runs"]["finished"] == 8


def test_an_archive_takes_a_sweep_file_of_ones_own_with_it(
    lab: Command, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.yaml").write_text("rows: {transformer: {attention: softmax}}\n")
    (run, *_) = load_sweep("mine.yaml", scale="nano", settings=[OWN]).runs()
    text = Records().all_finished()[0].content_hash
    name = fingerprint(run.config, text)
    Records().finish(replace(example_record(name, 30.0, run.config), content_hash=text))
    assert lab("results", "archive", "mine.yaml", OWN).status == 0
    with tarfile.open("mine-nano-data.path=mine.tar.gz") as packed:
        assert "mine-nano-data.path=mine/mine.yaml" in packed.getnames()
    for file in ("parts/norm.py", "parts/.venv/lib/other.py", "parts/private.txt"):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text("")
    assert lab("results", "archive", "mine.yaml", OWN, "--components", "parts").status == 0
    with tarfile.open("mine-nano-data.path=mine.tar.gz") as packed:
        assert [name.partition("/")[2] for name in packed.getnames() if "parts" in name] == ["parts/norm.py"]
    Path("below").mkdir()
    monkeypatch.chdir("below")
    assert "lies outside this directory" in lab("results", "archive", "../mine.yaml", OWN).complaint


def test_an_archive_of_nothing_is_a_mistake(lab: Command, corpus: Corpus) -> None:
    assert "no run is finished" in lab("results", "archive", "kernel_sizes", OWN).complaint


def test_exported_runs_are_taken_in_by_a_fresh_clone_which_goes_on_from_them(
    lab: Command, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = lab("results", "export", "kernel_sizes", OWN, "--output", "kept")
    assert "kept: 8 runs written, 0 there already" in done.out
    assert "0 runs written, 8 there already" in lab("results", "export", "kernel_sizes", OWN, "--output", "kept").out
    assert {str(path.relative_to("kept").parent) for path in Path("kept").rglob("*.*")} == {"runs", "."}
    assert [path.name for path in Path("kept").glob("*.*")] == ["looks.json"]
    before = lab("report", "kernel_sizes", OWN, "--format", "json").out
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    assert "8 files added" in lab("results", "merge", "../kept").out
    assert lab("report", "kernel_sizes", OWN, "--format", "json").out == before
    assert "8 of 15 runs finished" in lab("status", "kernel_sizes", OWN).out


def test_an_export_overwrites_no_other_result(lab: Command, elsewhere: Path) -> None:
    lab("results", "export", "kernel_sizes", OWN, "--output", "kept")
    file = next(Path("kept/runs").iterdir())
    file.write_text(file.read_text().replace('"seconds":', '"seconds":1'))
    refused = lab("results", "export", "kernel_sizes", OWN, "--output", "kept")
    assert refused.status == 2
    assert f"--output: kept has another result of runs/{file.name}; remove it there" in refused.err


def test_nothing_finished_is_nothing_to_export(lab: Command, corpus: Corpus) -> None:
    assert "no run is finished" in lab("results", "export", "kernel_sizes", OWN, "--output", "kept").complaint
