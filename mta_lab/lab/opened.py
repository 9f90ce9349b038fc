"""A finished run of a loaded sweep: its record, its model, its curves, its pictures, its MLflow run."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from mta_lab.config.tree import as_tree
from mta_lab.errors import UserError
from mta_lab.lab.drawing import attention_panels, kernel_panels
from mta_lab.lab.evaluating import EvaluationResult, evaluate_run, evaluation_named
from mta_lab.lab.frames import curves_of
from mta_lab.lab.picture import Picture
from mta_lab.lab.plan import Plan
from mta_lab.lab.trained import opened, reading_for
from mta_lab.model import Decoder
from mta_lab.pictures.output import joined
from mta_lab.pictures.trained import Trained
from mta_lab.results.records import Record
from mta_lab.theme.style import styled

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from pandas import DataFrame

    from mta_lab.tracking.opened import Run as TrackedRun


class FinishedRun:
    """A row of a sweep under a seed, finished. `LoadedSweep.run_of` returns it."""

    def __init__(self, plan: Plan, row: str, record: Record) -> None:
        self.row = row
        self.record = record
        """all that was measured, with the settings and the machine; the file in results/ holds the same"""
        self._plan = plan

    def __repr__(self) -> str:
        return f"FinishedRun(row={self.row!r}, seed={self.seed}, score={self.score:.3f})"

    @property
    def seed(self) -> int:
        """Return the seed that it was trained under."""
        return int(self.record.config["seed"])

    @property
    def config(self) -> "DictConfig":
        """Return the configuration that it was trained with, as an OmegaConf tree that is read-only."""
        return as_tree(self.record.config)

    @property
    def score(self) -> float:
        """Return its score on the validation text, or on the test text after a search: perplexity or error rate."""
        return self.record.score

    @cached_property
    def _trained(self) -> Trained:
        return opened(self.record, self._plan.records, self._plan.display)

    def model(self) -> Decoder:
        """Return the trained model, a torch module on the CPU in evaluation mode: tokens [B, T] to logits [B, T, V].

        Raises UserError where its weights were not kept or cannot be read.
        """
        return self._trained.model

    def evaluate(self, evaluation: str, **settings: Any) -> EvaluationResult:
        """Score its model by an evaluation, on what the run holds out: `run.evaluate("token_accuracy").score`.

        `settings` are the evaluation's own. The record keeps the scores, if the settings are the default ones and it
        has no scores of that metric yet; the run stays the same run, and `table()` shows them once all runs of a row
        have them. Raises UserError for a name or a setting that is not known, where the weights are gone, and where
        the text or the components' code have changed since.
        """
        found = evaluation_named(evaluation, settings)
        result = evaluate_run(self._trained, found, self._plan.records)
        self.record = self._plan.records.finished(self.record.fingerprint) or self.record
        return result

    def curves(self) -> "DataFrame":
        """Return a line for each loss and validation: row, seed, step, measure ('loss' or the score's name), value."""
        return curves_of([(self.row, self.record)])

    def attention(self, text: str | None = None, layer: int | None = None, head: int | None = None) -> Picture:
        """Draw a head's attention on `text`, before and after the operations of its layer, and all heads below.

        Layer and head count from 1; the most telling head is drawn where they are left open. A run on a synthetic task
        needs no text: a sequence is drawn. Raises UserError for a text that the model cannot read.
        """
        panels, line = attention_panels(self._trained, reading_for(self._trained, text), layer, head)
        with styled():
            return Picture(joined(self._trained.name, panels), line)

    def kernels(self) -> Picture:
        """Draw the kernels and head matrices. Raises UserError where its attention has neither."""
        panels = kernel_panels(self._trained, self._plan.records)
        if not panels:
            raise UserError(f"kernels: the attention of row '{self.row}' has no kernel and no head matrix")
        with styled():
            return Picture(joined(self._trained.name, panels), f"kernels of {self._trained.name}")

    def mlflow(self) -> "TrackedRun":
        """Return its run in MLflow, with its metrics, params and tags.

        Raises UserError where MLflow has not got it; `mta-lab sync NAME` enters it.
        """
        from mta_lab.tracking.opened import open_run  # imports MLflow

        if not self.record.run_id:
            raise UserError(f"mlflow: this run is not entered yet; `mta-lab sync {self._plan.given}` enters it")
        return open_run(self.record.run_id)
