"""Read a corpus as batches for next-token prediction."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from components.tasks import ExercisedTask
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.data.batches import TrainingBatches, ValidationBatches
from mta_lab.data.mixture import passes, shares
from mta_lab.training.ahead import BatchModule
from mta_lab.training.exercises import MixedBatches
from mta_lab.training.loss import Batch
from mta_lab.training.seeds import derive


class TextModule(BatchModule):
    """The token files of a corpus as batches: training by (seed, step), validation by domain."""

    def __init__(self, config: RunConfig, corpus: Corpus) -> None:
        super().__init__(config, tuple(sorted(domain.name for domain in corpus.domains)), config.model.context)
        self.corpus = corpus

    @property
    def text(self) -> Mapping[str, Any]:
        """Return what the record says of the text: tokenizer, and passes over each domain."""
        return {
            "tokenizer": self.corpus.tokenizer_name,
            "passes": passes(self.run.data, self.corpus.domains, self.run.text_tokens),
        }

    def training_batches(self) -> Dataset[Batch]:
        """Return the training batches: each [batch size, context + 1] tokens, int64.

        Those of exercises come with the mask of their answers.
        """
        training, task = self.run.training, self.run.task
        text = TrainingBatches(
            {name: self.corpus.tokens(name, "train") for name in self.domains},
            shares(self.run.data, self.domains),
            seed=derive(self.run.seed_of("data"), "batches", self.run.draws),
            steps=training.steps,
            batch_size=training.batch_size,
            context=self.context,
        )
        return MixedBatches(text, task, self.corpus) if isinstance(task, ExercisedTask) else text

    def val_dataloader(self) -> list[DataLoader[Tensor]]:
        """Return one loader a domain, in the order of `domains`."""
        training = self.run.training
        split, end = self.corpus.held_out(self.run.data.evaluate)
        return [
            DataLoader(
                ValidationBatches(
                    self.corpus.tokens(name, split),
                    limit=training.validation_tokens,
                    batch_size=self.micro_batch,
                    context=self.context,
                    evaluate=end,
                ),
                batch_size=None,
            )
            for name in self.domains
        ]
