"""Next-token prediction on a corpus, scored by perplexity: what a run does, and what it reads."""

import math
from collections.abc import Mapping

import lightning
from torch import Tensor
from torch.utils.data import DataLoader

from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.data.batches import TrainingBatches, ValidationBatches
from mta_lab.data.mixture import shares
from mta_lab.training.loss import token_losses
from mta_lab.training.module import DecoderModule
from mta_lab.training.seeds import derive

LARGEST_LOSS = 700.0  # nats a token; exp of more is not a number any more


class LanguageModule(DecoderModule):
    """The loss of every token counts."""

    def validation_step(self, tokens: Tensor, index: int, dataloader_idx: int = 0) -> None:
        """Add the batch's losses to its domain's."""
        self.add(dataloader_idx, token_losses(self.model, tokens, self.config.precision))

    def scores(self, means: Mapping[str, float]) -> Mapping[str, float]:
        """Perplexities: exp of mean losses."""
        if not all(mean < LARGEST_LOSS for mean in means.values()):
            raise FloatingPointError(f"the validation losses are {[*means.values()]} nats at step {self.global_step}")
        return {domain: math.exp(mean) for domain, mean in means.items()}


class TextModule(lightning.LightningDataModule):
    """The corpus' token files as batches: training by (seed, step), validation domain by domain."""

    def __init__(self, config: RunConfig, corpus: Corpus) -> None:
        super().__init__()
        self.run = config
        self.corpus = corpus
        self.domains = tuple(sorted(domain.name for domain in corpus.domains))
        self.context = config.model.context
        self.first_step = 0

    def train_dataloader(self) -> DataLoader[Tensor]:
        """One pass is the whole run from `first_step` on; item k is the batch of step k."""
        training = self.run.training
        batches = TrainingBatches(
            {name: self.corpus.tokens(name, "train") for name in self.domains},
            shares(self.run.data, self.domains),
            seed=derive(self.run.seed, "batches", self.run.stream),
            steps=training.steps,
            batch_size=training.batch_size,
            context=self.context,
        )
        return DataLoader(batches, batch_size=None, sampler=range(self.first_step, training.steps))

    def val_dataloader(self) -> list[DataLoader[Tensor]]:
        """One loader a domain, in the order of `domains`."""
        training = self.run.training
        return [
            DataLoader(
                ValidationBatches(
                    self.corpus.tokens(name, "valid"),
                    limit=training.validation_tokens,
                    batch_size=training.batch_size,
                    context=self.context,
                    evaluate=self.run.data.evaluate,
                ),
                batch_size=None,
            )
            for name in self.domains
        ]
