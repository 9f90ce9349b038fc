"""The Lightning module and data module of a language-modelling run."""

import math
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mta_lab.config import RunConfig, TrainingConfig
from mta_lab.data import Corpus
from mta_lab.data.batches import TrainingBatches, ValidationBatches
from mta_lab.model import build_model
from mta_lab.training.loss import token_losses
from mta_lab.training.result import Validation
from mta_lab.training.seeds import derive

LARGEST_LOSS = 700.0  # nats a token; exp of more is not a number any more


class LanguageModule(lightning.LightningModule):
    """Next-token prediction with AdamW, linear warm-up and linear decay to zero."""

    def __init__(self, config: RunConfig, domains: tuple[str, ...]) -> None:
        super().__init__()
        if config.training.precision == "auto":
            raise ValueError("training.precision: 'auto' is settled before a run is identified (mta_lab.precision)")
        self.model = build_model(config, derive(config.seed, "weights", config.stream))
        self.config = config.training
        self.domains = domains
        self.validations: list[Validation] = []
        self._scores = torch.zeros(len(domains), 2, dtype=torch.float64)

    def training_step(self, tokens: Tensor, index: int) -> Tensor:
        """Mean loss of the batch, in nats a token."""
        return token_losses(self.model, tokens, self.config.precision).mean()

    def validation_step(self, tokens: Tensor, index: int, dataloader_idx: int = 0) -> None:
        """Add the batch's summed loss and number of tokens to its domain's."""
        losses = token_losses(self.model, tokens, self.config.precision)
        self._scores[dataloader_idx] += torch.tensor([losses.double().sum(), losses.numel()], dtype=torch.float64)

    def on_validation_epoch_end(self) -> None:
        """Turn the sums into perplexities and start anew."""
        means = (self._scores[:, 0] / self._scores[:, 1]).tolist()
        if not all(mean < LARGEST_LOSS for mean in means):
            raise FloatingPointError(f"the validation losses are {means} nats at step {self.global_step}")
        perplexities = {domain: math.exp(mean) for domain, mean in zip(self.domains, means, strict=True)}
        self.validations.append(Validation(step=self.global_step, quantity="perplexity", domains=perplexities))
        self._scores.zero_()

    def configure_optimizers(self) -> Any:
        """AdamW on every parameter, its rate changed at each step."""
        config = self.config
        optimizer = torch.optim.AdamW(
            self.parameters(),
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, config))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate_factor(step: int, config: TrainingConfig) -> float:
    """Learning rate of optimizer step `step` (from 0) over its peak: linear up, then linear down to zero."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    return (config.steps - step) / (config.steps - config.warmup_steps)


class TextModule(lightning.LightningDataModule):
    """The corpus' token files as batches: training by (seed, step), validation domain by domain."""

    def __init__(self, config: RunConfig, corpus: Corpus) -> None:
        super().__init__()
        self.run = config
        self.corpus = corpus

    def train_dataloader(self) -> DataLoader[Tensor]:
        """One pass is the whole run; item k is the batch of step k."""
        training = self.run.training
        batches = TrainingBatches(
            {name: self.corpus.tokens(name, "train") for name in domain_names(self.corpus)},
            seed=derive(self.run.seed, "batches", self.run.stream),
            steps=training.steps,
            batch_size=training.batch_size,
            context=self.run.model.context,
        )
        return DataLoader(batches, batch_size=None, shuffle=False)

    def val_dataloader(self) -> list[DataLoader[Tensor]]:
        """One loader a domain, in the corpus' order."""
        training = self.run.training
        return [
            DataLoader(
                ValidationBatches(
                    self.corpus.tokens(name, "valid"),
                    limit=training.validation_tokens,
                    batch_size=training.batch_size,
                    context=self.run.model.context,
                ),
                batch_size=None,
            )
            for name in domain_names(self.corpus)
        ]


def domain_names(corpus: Corpus) -> tuple[str, ...]:
    """The corpus' domains, sorted."""
    return tuple(sorted(domain.name for domain in corpus.domains))
