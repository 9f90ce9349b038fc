"""Open a finished run of a loaded sweep: record, model, curves, pictures, MLflow run."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mta_lab import lab
from mta_lab.config.tree import as_tree
from mta_lab.errors import UserError
from mta_lab.lab.drawing import attention_panels, kernel_panels
from mta_lab.lab.evaluating import EvaluationResult, evaluate_run, evaluation_named
from mta_lab.lab.extras import check_extra
from mta_lab.lab.frames import curves_of
from mta_lab.lab.generating import pieces, sampling, uncached
from mta_lab.lab.picture import Picture
from mta_lab.lab.plan import Plan
from mta_lab.lab.trained import opened, reading_for
from mta_lab.model import Decoder
from mta_lab.pictures.output import joined
from mta_lab.pictures.trained import Trained
from mta_lab.results.records import Record
from mta_lab.theme.style import styled
from mta_lab.workspace import again

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from pandas import DataFrame

    from mta_lab.tracking.opened import Run as TrackedRun


class FinishedRun:
    """A finished run: a row of a sweep under a seed, as `LoadedSweep.run_of` returns it."""

    def __init__(self, plan: Plan, row: str, record: Record) -> None:
        self.row = row
        self.record = record
        """all that was measured, with settings and machine; a file in results/ holds the same"""
        self._plan = plan

    def __repr__(self) -> str:
        return f"FinishedRun(row={self.row!r}, seed={self.seed}, score={self.score:.3f})"

    @property
    def seed(self) -> int:
        """Return the seed that the run was trained under."""
        return int(self.record.config["seed"])

    @property
    def config(self) -> "DictConfig":
        """Return the run's configuration as a read-only OmegaConf tree."""
        return as_tree(self.record.config)

    @property
    def score(self) -> float:
        """Return the run's score: perplexity, or error rate (0 to 1).

        It is on the validation text, or on the test text for rows that a search found.
        """
        return self.record.score

    @cached_property
    def _trained(self) -> Trained:
        return opened(self.record, self._plan.records, self._plan.display)

    def model(self) -> Decoder:
        """Return the trained model, a torch module on the CPU in evaluation mode.

        Its input is tokens [batch, tokens] (int64), its output logits [batch, tokens, vocabulary].

        Raises:
            UserError: the run's weights were not kept or cannot be read.
        """
        return self._trained.model

    def evaluate(self, evaluation: str, **settings: Any) -> EvaluationResult:
        """Score the run's model by an evaluation, on what the run holds out.

        `run.evaluate("token_accuracy").score` is such a score. The run's record keeps it if the
        settings are the defaults and the record has no score of that metric yet. The run stays the
        same run, and `table()` shows the score once all runs of a row have it.

        Args:
            evaluation: the name of an evaluation; `mta-lab components` lists them.
            settings: the evaluation's own settings.

        Raises:
            UserError: the name or a setting is not known, the run's weights are gone, or the text
                or the components' code have changed since it was trained.
        """
        found = evaluation_named(evaluation, settings)
        result = evaluate_run(self._trained, found, self._plan.records)
        self.record = self._plan.records.finished(self.record.fingerprint) or self.record
        return result

    def generate(
        self,
        prompt: str | None = None,
        tokens: int | None = None,
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> str:
        """Return what the run's model writes after `prompt`.

        Args:
            prompt: what it reads first; None for a model of text, which then begins a document.
            tokens: how many to write at most; None for 64, or as many as the context has room for.
            temperature: 0 takes the most likely token; above, tokens are drawn.
            top_p: draws among the most likely tokens that have this probability together.
            seed: of what is drawn.

        Raises:
            UserError: the model cannot read the prompt, or its context has no room for the tokens.
        """
        if why := uncached(self._trained):
            self._plan.display.note(why)
        return "".join(pieces(self._trained, prompt, tokens, sampling(temperature, top_p, seed)))

    def curves(self) -> "DataFrame":
        """Return one line for each loss and validation: row, seed, step, measure, value.

        `measure` is 'loss', in nats a token, or the metric's name.
        """
        return curves_of([(self.row, self.record)])

    def attention(self, text: str | None = None, layer: int | None = None, head: int | None = None) -> Picture:
        """Draw one head's attention on `text` before and after the score operations, and all heads.

        Args:
            text: what the model reads; None for a run on a synthetic task, which draws a sequence.
            layer: the layer, from 1; None to choose the head that attends most clearly.
            head: the head, from 1; None likewise.

        Raises:
            UserError: the model cannot read the text, or has no such layer or head.
        """
        panels, line = attention_panels(self._trained, reading_for(self._trained, text), layer, head)
        with styled():
            return Picture(joined(self._trained.name, panels), line)

    def kernels(self) -> Picture:
        """Draw the kernels and head matrices.

        Raises:
            UserError: the run's attention has neither.
        """
        panels = kernel_panels(self._trained, self._plan.records)
        if not panels:
            raise UserError(f"kernels: the attention of row '{self.row}' has no kernel and no head matrix")
        with styled():
            return Picture(joined(self._trained.name, panels), f"kernels of {self._trained.name}")

    def export(self, folder: str | Path) -> Path:
        """Write the run as a model that Hugging Face's transformers opens, and return its folder.

        It has weights, settings, tokenizer and a card; needs the extra `hf`.

        Raises:
            UserError: as `mta-lab export` says it: a component has no counterpart, the folder holds
                something or cannot be written, or the run is not what it was.
        """
        check_extra("hf", "export")
        lab.exporting.export_run(self._plan, self.row, self._trained, Path(folder))
        return Path(folder)

    def mlflow(self) -> "TrackedRun":
        """Return the run's entry in MLflow, with its metrics, params and tags.

        Raises:
            UserError: MLflow lacks it; the message has the command that enters it.
        """
        from mta_lab.tracking.opened import open_run  # noqa: PLC0415  imports MLflow: slow, and only needed here

        if not self.record.run_id:
            raise UserError(
                f"mlflow: this run is not in MLflow yet; `{again('mta-lab sync')} {self._plan.given}` enters it"
            )
        return open_run(self.record.run_id)
