"""Ask a run the harness's tasks, and take over what it comes to."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lm_eval.evaluator import evaluate

from components.evaluations import HarnessEvaluation
from components.evaluations.questions import Answer
from mta_lab.children import variables
from mta_lab.config import Precision, RunConfig
from mta_lab.data import Corpus
from mta_lab.errors import UserError, described
from mta_lab.evaluation import changed_settings
from mta_lab.evaluation.answers import Advance, answered
from mta_lab.evaluation.batches import Asking, Decoding
from mta_lab.harness.model import HarnessModel
from mta_lab.harness.quiet import quiet
from mta_lab.harness.reading import batches_of, following, read
from mta_lab.harness.scores import chance, left_out, scores_of
from mta_lab.harness.tasks import Loaded, load
from mta_lab.model import Decoder
from mta_lab.results.evaluated import Evaluated, TaskFacts, now

LIBRARY = "lm_eval"
PACKAGE = Path(__file__).parents[1]
BOOTSTRAP = 1000  # draws, for the standard error of what is no plain mean
ONE_PROCESS = {"DISABLE_MULTIPROC": "1"}  # keeps the harness from starting a process for each core for these draws


def prepare(
    evaluation: HarnessEvaluation, config: RunConfig, corpus: Corpus, note: Callable[[str], None]
) -> "HarnessTasks":
    """Return the tasks that a run is asked; `note` hears of each that cannot be asked here.

    Raises:
        UserError: there is no such task, or one cannot be asked.
    """
    return HarnessTasks(
        evaluation=evaluation,
        loaded=load(evaluation, config, corpus, note),
        decoding=Decoding(corpus),
        context=evaluation.context or config.model.context,
    )


@dataclass(frozen=True, kw_only=True)
class HarnessTasks:
    """Tasks of the harness, ready to be asked."""

    evaluation: HarnessEvaluation
    loaded: Loaded
    decoding: Decoding
    context: int
    """most tokens that a model reads at a time"""

    def ask(self, model: Decoder, precision: Precision, kept: Path, advance: Advance) -> Evaluated:
        """Return what a model comes to, as `Asks` says."""
        reads = partial(read, model, padding=self.decoding.end_of_text, precision=precision)
        self.loaded.draw_examples_anew()
        with quiet() as aloud, variables(ONE_PROCESS):

            def heard(done: int, total: int) -> None:
                with aloud():
                    advance(done, total)

            def answers(kind: str, askings: Sequence[Asking]) -> Sequence[Answer]:
                return answered(batches_of(askings, self.context), reads, kept.with_name(f"{kept.name}.{kind}"), heard)

            further = partial(following, model, end=self.decoding.end_of_text, precision=precision)
            asked = HarnessModel(self.decoding, self.context, answers, further)
            try:
                results = evaluate(
                    lm=asked,
                    task_dict={"tasks": self.loaded.tasks, "groups": self.loaded.groups},
                    limit=self.evaluation.limit or None,
                    bootstrap_iters=BOOTSTRAP,
                    log_samples=False,
                )
            except Exception as error:
                if _is_ours(error):
                    raise
                said = f"the harness cannot ask {', '.join(self.loaded.scored)} ({described(error)})"
                raise UserError(f"{self.evaluation.name}: {said}; look at the tasks' YAML and data") from None
        return self._evaluated(results, asked)

    def _evaluated(self, results: Any, asked: HarnessModel) -> Evaluated:
        """Return what the harness found, as a record keeps it."""
        name, counted = self.evaluation.name, self.evaluation.counted
        by_task = {task: results["results"][task] for task in self.loaded.scored}
        found = {metric.name: scores_of(measure, metric, by_task) for measure, metric in counted.items()}
        metrics = {metric: scores for metric, scores in found.items() if scores}
        others = left_out(counted, by_task)
        if not metrics:
            raise UserError(f"{name}: tasks: got some scored by {', '.join(others)}, allowed: by {', '.join(counted)}")
        notes = [f"of the harness's measures, {', '.join(others)} are left out"] if others else []
        return Evaluated(
            name=name,
            settings=changed_settings(self.evaluation),
            metrics=metrics,
            floors=self._floors(),
            notes=[*self._cuts(asked), *notes],
            harness=f"{LIBRARY} {version(LIBRARY)}",
            tasks={
                task: TaskFacts(shots=results["n-shot"].get(task, 0), version=str(results["versions"].get(task)))
                for task in by_task
            },
            finished=now(),
        )

    def _floors(self) -> dict[str, dict[str, float]]:
        found = {name: chance([self.loaded.tasks[one] for one in tasks]) for name, tasks in self.loaded.scored.items()}
        floors = {name: floor for name, floor in found.items() if floor is not None}
        return {"any answer at random": floors} if floors else {}

    def _cuts(self, asked: HarnessModel) -> list[str]:
        """Return a clause on each task whose requests lost their beginning."""
        numbers = {
            name: (sum(asked.cut[task] for task in tasks), sum(asked.read[task] for task in tasks))
            for name, tasks in self.loaded.scored.items()
        }
        return [
            f"{cut:,} of {all_of_them:,} answers of '{name}' stand behind more than {self.context:,} tokens; "
            "the first ones are cut off"
            for name, (cut, all_of_them) in numbers.items()
            if cut
        ]


def _is_ours(error: Exception) -> bool:
    """Return whether our own code raised it, and not a task's settings or data."""
    _, *behind = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).is_relative_to(PACKAGE) for frame in behind)
