"""Read a corpus as batches for next-token prediction."""

import lightning
from torch import Tensor
from torch.utils.data import DataLoader

from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.data.batches import TrainingBatches, ValidationBatches
from mta_lab.data.mixture import shares
from mta_lab.devices import own
from mta_lab.training.seeds import derive


class TextModule(lightning.LightningDataModule):
    """The token files of a corpus as batches: training by (seed, step), validation by domain."""

    def __init__(self, config: RunConfig, corpus: Corpus) -> None:
        super().__init__()
        self.run = config
        self.corpus = corpus
        self.domains = tuple(sorted(domain.name for domain in corpus.domains))
        self.context = config.model.context
        self.first_step = 0
        self.micro_batch = config.training.sequences_a_pass
        """sequences that a validation reads at a time"""

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Return the training batches of the whole run from `first_step` on; item k is step k's.

        A batch is [batch size, context + 1] tokens, int64.
        """
        training = self.run.training
        batches = TrainingBatches(
            {name: self.corpus.tokens(name, "train") for name in self.domains},
            shares(self.run.data, self.domains),
            seed=derive(self.run.seed, "batches", self.run.stream),
            steps=training.steps,
            batch_size=training.batch_size,
            context=self.context,
        )
        steps = range(self.first_step, training.steps)
        return DataLoader(batches, batch_size=None, sampler=steps, pin_memory=own.on_gpu())  # no copy waits for a step

    def val_dataloader(self) -> list[DataLoader[Tensor]]:
        """Return one loader a domain, in the order of `domains`."""
        training = self.run.training
        return [
            DataLoader(
                ValidationBatches(
                    self.corpus.tokens(name, "valid"),
                    limit=training.validation_tokens,
                    batch_size=self.micro_batch,
                    context=self.context,
                    evaluate=self.run.data.evaluate,
                ),
                batch_size=None,
            )
            for name in self.domains
        ]
