"""Measure what a launch costs beyond training, and how soon a finished sweep answers.

Both times are those of the command itself, in a directory of its own, on runs of one training step
of a small synthetic task.
"""

import os
import re
import subprocess
import tempfile
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean

from mta_lab.bench.measure import take_turns
from mta_lab.bench.results import Comparison, Contestant, Measure, Say
from mta_lab.children import python
from mta_lab.config import fingerprint, plain
from mta_lab.errors import UserError
from mta_lab.results.records import Records
from mta_lab.sweep import load_sweep
from mta_lab.words import counted

FEW, MANY = 2, 42  # runs of one step
RUNS, STEPS = 12, 1000  # of a launch on all workers
FINISHED = (1, 100)  # rows of a finished sweep, each under as many seeds
LAUNCH, ANSWER = "launch", "answer"
ONE_STEP = """
  task: {name: find_block, letters: 2, blocks: 3, answer: all}
  attention: softmax
  model: {width: 16, heads: 2, layers: 2, vocabulary: 28, context: 16, feed_forward_multiple: 16}
  training: {steps: 1, batch_size: 64, warmup_steps: 0, validations: 1, validation_tokens: 128}"""


def compare(rounds: int | None, say: Say) -> list[Comparison]:
    """Return times of launches by their number of runs, and of finished sweeps likewise."""
    with tempfile.TemporaryDirectory() as directory:
        here = Path(directory)
        say(f"launches of {FEW} and {MANY} runs of one step, and of {RUNS} of {STEPS}", 1, 3)
        launchers = ["local", *(["ray"] if find_spec("ray") else [])]
        launches = [*(_launches(here, launcher) for launcher in launchers), _shared(here)]
        say(f"finished sweeps of {' and '.join(str(size**2) for size in FINISHED)} runs", 2, 3)
        return [*launches, _answers(here, rounds)]


def _launches(here: Path, launcher: str) -> Comparison:
    """Return times of launches on one worker, so that one run follows another.

    Each launch trains runs that none before it has trained.
    """
    place = here / launcher
    place.mkdir()
    file = str(write(place / "sweep.yaml", ONE_STEP, rows=1, seeds=1))
    command = ("sweep", file, "--workers", "1", "--launcher", launcher)
    _mta_lab(place, *command)  # creates MLflow's tables
    seconds, before = {}, 1
    for runs in (FEW, MANY):
        started = time.perf_counter()
        _mta_lab(place, *command, "--seeds", str(before + runs))
        seconds[runs], before = time.perf_counter() - started, before + runs
    steps = fmean(record.training_seconds or 0.0 for record in Records(place / "results").all_finished())
    run = (seconds[MANY] - seconds[FEW]) / (MANY - FEW)
    note = f"each further run takes {1e3 * run:.0f} ms, {1e3 * steps:.0f} of them for its step, the rest for the engine"
    return Comparison(
        title=f"launches of runs of one step, on one worker (--launcher {launcher})",
        settings={"runs": [FEW, MANY], "launcher": launcher},
        contestants=tuple(
            Contestant(name=counted(runs, "run"), measures={LAUNCH: Measure(unit="s", values=(seconds[runs],))})
            for runs in (FEW, MANY)
        ),
        notes=(note,),
    )


def _shared(here: Path) -> Comparison:
    """Return the time of a launch on one worker a core, and how busy the workers were."""
    file = str(write(here / "shared.yaml", ONE_STEP, rows=1, seeds=RUNS))
    started = time.perf_counter()
    said = _mta_lab(here, "sweep", file, f"training.steps={STEPS}")
    seconds = time.perf_counter() - started
    (busy,) = re.findall(r"the workers were busy .*", said)
    return Comparison(
        title=f"a launch of {RUNS} runs of {STEPS} small steps, on all workers",
        settings={"runs": RUNS, "steps": STEPS},
        contestants=(Contestant(name=f"{RUNS} runs", measures={LAUNCH: Measure(unit="s", values=(seconds,))}),),
        notes=(busy,),
    )


def _answers(here: Path, rounds: int | None) -> Comparison:
    """Return times of finished sweeps, whose records are copies of one measured record."""
    measured = Records(here / "local" / "results").all_finished()[0]
    places = {}
    for size in FINISHED:
        places[size] = here / str(size)
        places[size].mkdir()
        records = Records(places[size] / "results")
        file = write(places[size] / "sweep.yaml", ONE_STEP, rows=size, seeds=size)
        for run in load_sweep(str(file), scale="nano").runs():
            records.finish(replace(measured, fingerprint=fingerprint(run.config, ""), config=plain(run.config)))
    work = {str(size): lambda at=at: _mta_lab(at, "sweep", "sweep.yaml") for size, at in places.items()}
    times = take_turns(work, rounds)
    return Comparison(
        title="finished sweeps: the command's answer, with its table",
        settings={"runs": [size**2 for size in FINISHED]},
        contestants=tuple(
            Contestant(name=counted(size**2, "run"), measures={ANSWER: times[str(size)]}) for size in FINISHED
        ),
        notes=("the time for one run is about that of starting the command",),
    )


def write(file: Path, base: str, *, rows: int, seeds: int) -> Path:
    """Write a sweep with `base`, a YAML mapping, and rows that differ in the learning rate.

    Return `file`.
    """
    lines = [f"  row {row}: {{training.learning_rate: {1e-3 + 1e-6 * row:.6f}}}" for row in range(rows)]
    file.write_text("\n".join([f"seeds: {seeds}", f"base: {base}", "rows:", *lines]))
    return file


def _mta_lab(directory: Path, *arguments: str) -> str:
    """Run `mta-lab` and return what it prints."""
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{directory}/mlflow.db"}
    command = python("-m", "mta_lab", *arguments)
    done = subprocess.run(command, cwd=directory, env=os.environ | store, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"bench: `mta-lab {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout
