"""Find the harness's tasks: its own, a folder's, and stand-ins, written as its YAML files."""

import json
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub.errors import LocalEntryNotFoundError
from lm_eval.tasks import TaskManager

from components import ComponentError
from components.evaluations import HarnessEvaluation
from components.evaluations.stand_ins import ENDING, StandIn
from mta_lab.atomic import write_whole
from mta_lab.config import RunConfig
from mta_lab.config.tree import as_yaml
from mta_lab.data import Corpus
from mta_lab.errors import UserError, described, nearest
from mta_lab.evaluation.material import material_of
from mta_lab.harness.quiet import quiet

FOLDER = "stand_ins"
"""the folder of stand-ins, beside the text that they are made of"""
PYTHON_SEED, NUMPY_SEED, EXAMPLES_SEED = 0, 1234, 1234
"""the harness's own, of what draws in it; the last draws examples"""
Note = Callable[[str], None]


@dataclass(frozen=True)
class Loaded:
    """Tasks of the harness, and which of them have a score together."""

    tasks: dict[str, Any] = field(default_factory=dict)
    """by name"""
    groups: dict[str, Any] = field(default_factory=dict)
    """groups of tasks, by name"""
    scored: dict[str, list[str]] = field(default_factory=dict)
    """names of what has a score of its own, a task or a group: the tasks that it is made of"""

    def add(self, name: str, found: Mapping[str, Any]) -> None:
        """Add what the harness knows by a name: a task, a group with a score or without."""
        self.tasks.update(found["tasks"])
        self.groups.update(found["groups"])
        group = found["groups"].get(name)
        if group is not None and group.has_aggregation:
            self.scored[name] = [*found["tasks"]]
        else:
            self.scored.update({task: [task] for task in found["tasks"]})

    def draw_examples_anew(self) -> None:
        """Let the next examples be those that were drawn first."""
        for task in self.tasks.values():
            task.set_fewshot_seed(seed=EXAMPLES_SEED)


def load(evaluation: HarnessEvaluation, config: RunConfig, corpus: Corpus, note: Note) -> Loaded:
    """Return the tasks of an evaluation, each with its number of examples set.

    Raises:
        UserError: there is no such task, or one cannot be asked here, which `note` hears.
    """
    asked = _shots(evaluation)
    loaded, missing = _found(evaluation, asked, _written(evaluation, [*asked], config, corpus))
    for name in missing:
        note(f"{evaluation.name}: {missing[name]}")
    if missing:
        said = f"{len(missing)} of {len(asked)} tasks cannot be asked here ({', '.join(missing)}), as said above"
        raise UserError(f"{evaluation.name}: {said}; --on {evaluation.name}:NAME,NAME asks others")
    return loaded


def missing_tasks(evaluation: HarnessEvaluation) -> list[str]:
    """Return why each task that is no stand-in, which needs the text, cannot be asked here.

    Raises:
        UserError: there is no such task.
    """
    asked = {name: shots for name, shots in _shots(evaluation).items() if ENDING not in name}
    _, missing = _found(evaluation, asked, None)
    return [f"{evaluation.name}: {said}" for said in missing.values()]


def _shots(evaluation: HarnessEvaluation) -> dict[str, str]:
    """Return the number of examples of each task, "" where none is given, by name."""
    return {name: shots for name, _, shots in (task.partition(":") for task in evaluation.tasks)}


def _found(
    evaluation: HarnessEvaluation, asked: Mapping[str, str], written: Path | None
) -> tuple[Loaded, dict[str, str]]:
    """Return the tasks that are here, and why each of the others is not, by name."""
    manager = _manager(evaluation, [*asked], written)
    if unknown := [name for name in asked if name not in manager.all_tasks]:
        hint = nearest(unknown[0], manager.all_tasks) or ";"
        known = "names of the harness, of path, and of Table 3's tasks with _stand_in behind them"
        raise UserError(f"{evaluation.name}: tasks: no task named '{unknown[0]}'{hint} allowed: {known}")
    loaded, missing = Loaded(), dict[str, str]()
    with _patience():
        for name, shots in asked.items():
            try:
                with quiet(), _seeded():
                    found = manager.load([name])
            except Exception as error:  # of the network, of a file, of a task's own code
                missing[name] = _why(name, error)
                datasets.config.HF_HUB_OFFLINE |= isinstance(error, ConnectionError)  # the rest waits no more
                continue
            for task in found["tasks"].values():
                if shots or task.get_config("num_fewshot") is None:  # as given, as the task says, or none
                    task.set_config(key="num_fewshot", value=int(shots or 0))
            loaded.add(name, found)
    return loaded, missing


def _manager(evaluation: HarnessEvaluation, names: Sequence[str], written: Path | None) -> TaskManager:
    """Return what knows the tasks by name; the harness's own take seconds to list."""
    own = [str(Path(evaluation.path).expanduser())] if evaluation.path is not None else []
    places = [*([str(written)] if written else []), *own]
    if places:
        with quiet():
            manager = TaskManager(include_path=places, include_defaults=False)
        if {*names} <= {*manager.all_tasks}:
            return manager
    with quiet():
        return TaskManager(include_path=places or None)


def _written(evaluation: HarnessEvaluation, names: Sequence[str], config: RunConfig, corpus: Corpus) -> Path | None:
    """Write the stand-ins that are asked for; return their folder, or None where none is."""
    if not any(ENDING in name for name in names):
        return None
    material = material_of(evaluation, config, corpus)
    try:
        found = evaluation.stand_ins(material)
    except ComponentError as error:
        said = "stand-ins are made together, and not all can be of this text"
        raise UserError(f"{evaluation.name}: {said}: {error}, and the text of data.corpus=packages has more") from None
    made_of = "-".join([str(material.context), str(evaluation.seed), *evaluation.domains])
    folder = (corpus.directory / FOLDER / made_of).resolve()
    for one in found:
        write(one, folder)
    return folder


def write(stand_in: StandIn, folder: Path) -> None:
    """Write a task into a folder: its YAML file, and a file of JSON lines for each split."""
    files = {split: folder / f"{stand_in.name}.{split}.jsonl" for split in stand_in.records}
    for split, file in files.items():
        write_whole(file, "".join(f"{json.dumps(record)}\n" for record in stand_in.records[split]))
    data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {name: str(one) for name, one in files.items()}}}
    write_whole(folder / f"{stand_in.name}.yaml", as_yaml({**stand_in.config, **(data if files else {})}))


def _why(name: str, error: Exception) -> str:
    """Return why a task cannot be asked, and how to get its data where that is the reason."""
    said = described(error)
    if not isinstance(error, ConnectionError | DatasetNotFoundError | LocalEntryNotFoundError):
        return f"{name}: the harness cannot load it ({said})"
    fetches = f"HF_HOME=hub python -c \"from lm_eval.tasks import TaskManager; TaskManager().load(['{name}'])\""
    return (
        f"{name}: its data is not here, and comes from the hub of Hugging Face ({said}); on a machine that reaches it, "
        f"`{fetches}` fetches it into the folder hub: copy that here, and set HF_HOME to it and HF_HUB_OFFLINE=1"
    )


@contextmanager
def _patience() -> Iterator[None]:
    """Wait for the hub anew after the block, in which its first failure may have ended that."""
    before = datasets.config.HF_HUB_OFFLINE
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


@contextmanager
def _seeded() -> Iterator[None]:
    """Draw in the block as the harness does, and then go on as before."""
    before = random.getstate(), np.random.get_state()
    random.seed(PYTHON_SEED)
    np.random.seed(NUMPY_SEED)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


for library in ("lm_eval", "huggingface_hub"):
    logging.getLogger(library).setLevel(logging.ERROR)
