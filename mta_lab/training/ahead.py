"""Make the training batches of a run, on a GPU ahead of the steps that read them."""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import lightning
from torch.utils.data import DataLoader, Dataset

from mta_lab.config import RunConfig
from mta_lab.devices import own
from mta_lab.training.loss import Batch, pinned

AHEAD = 4  # batches
THREAD = "mta-lab batches"  # begins the thread's name


class BatchModule(lightning.LightningDataModule):
    """Base of what a run reads: training batches by (seed, step), validation batches by domain."""

    def __init__(self, config: RunConfig, domains: tuple[str, ...], context: int) -> None:
        super().__init__()
        self.run = config
        self.domains = domains
        self.context = context
        self.first_step = 0
        self.micro_batch = config.training.sequences_a_pass
        """sequences that a validation reads at a time"""
        self._ahead: BatchesAhead | None = None

    @property
    def text(self) -> Mapping[str, Any]:
        """Return what the record says of the text that is read; nothing where none is."""
        return {}

    @abstractmethod
    def training_batches(self) -> Dataset[Batch]:
        """Return the batches of the whole run; item k is step k's, whatever was read before."""

    def train_dataloader(self) -> "DataLoader[Batch] | BatchesAhead":
        """Return the training batches from `first_step` on."""
        batches, steps = self.training_batches(), range(self.first_step, self.run.training.steps)
        if not reads_ahead():
            return DataLoader(batches, batch_size=None, sampler=steps)
        self._ahead = BatchesAhead(batches, steps)
        return self._ahead

    def close(self) -> None:
        """End the thread that makes batches, if there is one."""
        if self._ahead:
            self._ahead.close()


def reads_ahead() -> bool:
    """Return whether a thread makes the batches; on a CPU it would take a core from the steps."""
    return own.on_gpu()


class BatchesAhead:
    """The batches of some steps in order, made by a thread up to `AHEAD` before they are read.

    They are those of the data set to the bit. For a GPU they lie in pinned memory, from which it
    copies them while it computes. An error in making one is raised where that one is read.
    """

    def __init__(self, batches: Dataset[Batch], steps: range) -> None:
        self._batches, self._steps = batches, steps
        self._thread = ThreadPoolExecutor(1, THREAD)

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[Batch]:
        coming = deque[Future[Batch]]()
        for step in self._steps:
            coming.append(self._thread.submit(self._made, step))
            if len(coming) > AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()

    def close(self) -> None:
        """End the thread, after the batch that it is at."""
        self._thread.shutdown(cancel_futures=True)

    def _made(self, step: int) -> Batch:
        batch = self._batches[step]
        return pinned(batch) if own.on_gpu() else batch
