"""Score a trained model on what its run holds out."""

from collections.abc import Sequence

import torch

from components.evaluations import Evaluation, Scoring
from components.metrics import Scores
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.model import Decoder
from mta_lab.training.batches import data_of
from mta_lab.training.loss import on_device, predict


def evaluate(
    model: Decoder, config: RunConfig, corpus: Corpus | None, evaluations: Sequence[Evaluation]
) -> dict[str, Scores]:
    """Return a model's scores by each evaluation, by the name of its metric.

    The batches and the precision are those of a validation. A synthetic task needs no `corpus`. The
    model keeps its mode, device and weights, and torch its random state.

    Raises:
        FloatingPointError: a logit or a score is not finite.
    """
    data, was_training = data_of(config, corpus), model.training
    scoring = Scoring(evaluations, data.domains)
    device = next(model.parameters()).device
    model.eval()
    try:
        # Not inference mode: modules may keep tensors made in it, which cannot be trained with.
        # The random state is kept, because a loader's iterator draws from it.
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            for domain, loader in enumerate(data.val_dataloader()):
                for batch in loader:
                    scoring.add(domain, predict(model, on_device(batch, device), config.training.precision))
    finally:
        model.train(was_training)
    return scoring.taken()
