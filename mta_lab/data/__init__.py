"""Prepare and open text: corpora, their domains and token files. Opening imports nothing slow."""

from mta_lab.data.corpus import find, prepare
from mta_lab.data.prepared import Corpus, Domain
from mta_lab.data.sources import Source

__all__ = ["Corpus", "Domain", "Source", "find", "prepare"]
