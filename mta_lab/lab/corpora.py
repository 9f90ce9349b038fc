"""Prepare, show and verify the text that a configuration reads."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mta_lab.config import RunConfig, command_line, resolve, scale_layer
from mta_lab.data import Corpus, cache, find, prepare
from mta_lab.data.corpus import TEXT, tokens_directory
from mta_lab.data.imported import open_imported
from mta_lab.data.mixture import shares
from mta_lab.data.sources import RECIPES, Recipe
from mta_lab.errors import UserError
from mta_lab.lab.conditions import Conditions
from mta_lab.lab.display import Display
from mta_lab.lab.imports import verified_import
from mta_lab.plugins import load_components
from mta_lab.workspace import CORPORA, again


def prepared(conditions: Conditions, display: Display) -> Corpus:
    """Return the text, which is fetched and turned into tokens first if it is not here."""
    config = _config(conditions)
    corpus = prepare(config.data, config.model.vocabulary, CORPORA, display.say)
    shares(config.data, [domain.name for domain in corpus.domains])  # refuses shares of domains that the text lacks
    return corpus


def corpus_here(conditions: Conditions) -> Corpus | None:
    """Return the text if it is prepared here, else None.

    Raises:
        UserError: the text is not a built-in one and not prepared: nothing is known of it yet.
    """
    config = _config(conditions)
    if config.data.tokens is not None:  # shown whatever the model's vocabulary is
        return open_imported(tokens_directory(config.data, 0, CORPORA))
    corpus = find(config.data, config.model.vocabulary, CORPORA)
    if corpus is None and (config.data.path is not None or config.data.corpus not in RECIPES):
        key, given = ("path", config.data.path) if config.data.path is not None else ("corpus", config.data.corpus)
        raise UserError(f"data.{key}: {given} is not prepared yet; run `{again('mta-lab data prepare')}` with it")
    return corpus


def shares_of(corpus: Corpus, conditions: Conditions) -> Mapping[str, float]:
    """Return the share of each domain in the training text; shares sum to 1."""
    return shares(_config(conditions).data, [domain.name for domain in corpus.domains])


def recipes(conditions: Conditions) -> tuple[str, Sequence[Recipe]]:
    """Return the name of the text and the recipes of its domains."""
    name = _config(conditions).data.corpus
    return name, RECIPES[name]


def verified(conditions: Conditions, imported: Path | None = None) -> Iterator[str]:
    """Read every file of the text and its tokens, and yield one line on each.

    That is the text of `conditions`, or the tokens `imported` into a folder.

    Raises:
        UserError: a file is damaged, or the text is not prepared.
    """
    data, vocabulary = (config := _config(conditions)).data, config.model.vocabulary
    if folder := imported or (Path(data.tokens) if data.tokens else None):
        yield from verified_import(folder)
        return
    tokens = tokens_directory(data, vocabulary, CORPORA)
    if not tokens.exists():
        raise UserError(
            f"{tokens}: is not prepared yet; `{again('mta-lab data prepare')}` with the same settings prepares it"
        )
    damaged = None
    for directory in (tokens.with_name(TEXT), tokens):
        for name, wrong in cache.inspected(directory).items():
            yield f"{directory / name}: {wrong or 'as it was prepared'}"
            damaged = damaged or (directory if wrong else None)
    if damaged:
        raise UserError(f"data: files in {damaged} are damaged; {cache.remedy(damaged)}")
    if corpus := find(data, vocabulary, CORPORA):
        corpus.check()
        yield f"{corpus.directory}: holds the tokens of its content hash, {corpus.content_hash[:16]}"


def _config(conditions: Conditions) -> RunConfig:
    load_components(conditions.components)
    return resolve([scale_layer(conditions.scale), command_line(conditions.settings)])
