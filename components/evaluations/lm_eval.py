"""Tasks of lm-evaluation-harness (Gao et al.; package `lm_eval`), Table 3 of 2504.00927 among them.

The harness makes the prompts, and scores; a model is asked by the log-probability of each answer.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from components.evaluations.harness import HarnessEvaluation
from components.evaluations.questions import Material
from components.evaluations.stand_ins import StandIn, stand_ins
from components.metrics import Metric
from components.registry import ComponentError, register

TABLE_3 = (
    *("boolq", "piqa", "social_iqa", "hellaswag", "winogrande"),
    *("arc_easy", "arc_challenge", "openbookqa", "mmlu:5"),
)
ACCURACY = Metric(name="task_accuracy", estimator="proportions", higher_is_better=True, most=1.0)
BY_LENGTH = Metric(name="task_accuracy_by_length", estimator="proportions", higher_is_better=True, most=1.0)
EXACT_MATCH = Metric(name="task_exact_match", estimator="proportions", higher_is_better=True, most=1.0)
PERPLEXITY = Metric(name="task_perplexity", estimator="log_ratio", least=1.0)
OF_WORDS = Metric(name="task_word_perplexity", estimator="log_ratio", least=1.0)
OF_BYTES = Metric(name="task_byte_perplexity", estimator="log_ratio", least=1.0)


@register("evaluations", "lm_eval")
class LmEval(HarnessEvaluation):
    """Tasks of lm-evaluation-harness: how often the most likely answer is the right one.

    `by length` divides the log-probability of an answer by its number of characters first.
    """

    metric: ClassVar[Metric] = ACCURACY
    further: ClassVar[tuple[Metric, ...]] = (BY_LENGTH, EXACT_MATCH, PERPLEXITY, OF_WORDS, OF_BYTES)
    reads: ClassVar[tuple[str, ...]] = ("task",)
    counted: ClassVar[Mapping[str, Metric]] = {
        "acc": ACCURACY,
        "acc_norm": BY_LENGTH,
        "exact_match": EXACT_MATCH,
        "perplexity": PERPLEXITY,
        "word_perplexity": OF_WORDS,
        "byte_perplexity": OF_BYTES,
    }

    tasks: tuple[str, ...] = TABLE_3
    """names of tasks or groups of tasks: of the harness; of `path`; or those of Table 3 with
    _stand_in behind them, made of held-out text. mmlu:5 has 5 examples before each question"""
    path: str | None = None
    """a folder with tasks of yours, as the harness's own YAML files; Python that they name is
    run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [name.partition(":")[0] for name in self.tasks]
        if not names or len({*names}) < len(names):
            raise ComponentError(f"tasks: got {list(self.tasks)}, allowed: names of tasks, each once")
        for task in self.tasks:
            name, colon, shots = task.partition(":")
            if not name or (colon and not (shots.isdecimal() and shots.isascii())):
                said = "a name, or a name and a number of examples, like mmlu:5"
                raise ComponentError(f"tasks: got '{task}', allowed: {said}")

    def stand_ins(self, material: Material) -> Sequence[StandIn]:
        return stand_ins(material, self.domains, self.seed)
