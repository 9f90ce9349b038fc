"""Make the sequences of a synthetic task, as batches.

Shapes: B sequences, T + 1 tokens: inputs are the first T, targets the last T.
"""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from components.tasks import GroupedTask, SyntheticTask
from mta_lab.config import RunConfig
from mta_lab.training.ahead import BatchModule
from mta_lab.training.loss import Answers, Batch
from mta_lab.training.seeds import derive


class SequencesModule(BatchModule):
    """A task's sequences as batches: training by (seed, step), held-out ones equal for all runs."""

    def __init__(self, config: RunConfig, task: SyntheticTask) -> None:
        groups = task.groups if isinstance(task, GroupedTask) else (task.name,)
        super().__init__(config, groups, task.context)
        self.task = task

    def training_batches(self) -> "SequenceBatches":
        """Return the training batches: sequences and the mask of their scored targets."""
        training, seed = self.run.training, derive(self.run.seed_of("data"), "batches", self.run.draws)
        return SequenceBatches(self.task, seed=seed, steps=training.steps, batch_size=training.batch_size)

    def val_dataloader(self) -> list[DataLoader[tuple[Tensor, ...]]]:
        """Return one loader for each group of held-out sequences; most tasks have one."""
        found = (held_out(self.task, self.run.data.evaluate, group) for group in self.domains)
        return [DataLoader(TensorDataset(*answers), batch_size=self.micro_batch) for answers in found]


class SequenceBatches(Dataset[Batch]):
    """A data set whose item k is the batch of step k; any step can be made on its own."""

    def __init__(self, task: SyntheticTask, *, seed: int, steps: int, batch_size: int) -> None:
        self.task, self.seed, self.steps, self.batch_size = task, seed, steps, batch_size

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Answers:
        (mixed,) = np.random.SeedSequence((self.seed, step)).generate_state(1).tolist()
        return self.task.sequences(self.batch_size, torch.Generator().manual_seed(mixed))


def held_out(task: SyntheticTask, evaluate: str, group: str = "") -> Answers:
    """Return the held-out sequences of 'valid' or 'test', which no run's seed produces.

    Of a task that has groups, return those of one of them.
    """
    if isinstance(task, GroupedTask):
        return task.held_out_of(group, torch.Generator().manual_seed(derive(0, f"held out: {evaluate}, {group}")))
    return task.sequences(task.held_out, torch.Generator().manual_seed(derive(0, f"held out: {evaluate}")))
