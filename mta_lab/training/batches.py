"""Read the data of a run, a text or a synthetic task, as batches."""

from components.tasks import SyntheticTask
from mta_lab.config import RunConfig
from mta_lab.data import Corpus
from mta_lab.training.language import TextModule
from mta_lab.training.synthetic import SequencesModule

Data = TextModule | SequencesModule


def data_of(config: RunConfig, corpus: Corpus | None) -> Data:
    """Return the batches of a run.

    Raises:
        ValueError: its task reads text, and there is no corpus.
    """
    if isinstance(config.task, SyntheticTask):
        return SequencesModule(config, config.task)
    if corpus is None:
        raise ValueError(f"task {config.task.name} reads text: a corpus is needed")
    return TextModule(config, corpus)
