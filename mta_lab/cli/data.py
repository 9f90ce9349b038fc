"""`mta-lab data`: the text that models are trained on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as RichTable

from mta_lab import lab
from mta_lab.cli.arguments import DEFAULT_SCALE, Components, Scale, Settings, conditions, row_and_settings
from mta_lab.cli.data_import import data_import
from mta_lab.cli.terminal import Terminal, make_console
from mta_lab.lab.conditions import Conditions
from mta_lab.workspace import again

if TYPE_CHECKING:
    from mta_lab.data import Corpus, Source

app = typer.Typer(help="The text that models are trained on.", no_args_is_help=True)
app.command("import")(data_import)


@app.command()
def prepare(settings: Settings = None, scale: Scale = DEFAULT_SCALE, components: Components = None) -> None:
    """Fetch the text, if needed, and make the token files. `sweep` does this by itself."""
    display = Terminal()
    corpus = lab.corpora.prepared(conditions(settings, scale, components=components), display)
    display.console.print(f"{corpus.directory}: ready, content hash {corpus.content_hash[:16]}")


@app.command()
def show(settings: Settings = None, scale: Scale = DEFAULT_SCALE, components: Components = None) -> None:
    """Show the domains of the text, their sources and rights."""
    under = conditions(settings, scale, components=components)
    corpus = lab.corpora.corpus_here(under)
    make_console().print(_prepared(corpus, lab.corpora.shares_of(corpus, under)) if corpus else _recipes(under))


@app.command()
def verify(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DIR | KEY=VALUE...]", help="a folder of imported tokens, or the settings of a text"),
    ] = None,
    scale: Scale = DEFAULT_SCALE,
    components: Components = None,
) -> None:
    """Check every file of prepared text or imported tokens."""
    folder, settings = row_and_settings(words)
    tokens = Path(folder) if folder else None
    for line in lab.corpora.verified(conditions(settings, scale, components=components), tokens):
        print(line)


def _prepared(corpus: "Corpus", share_of: Mapping[str, float]) -> RichTable:
    sizes = ("share", "documents", "dropped", "train / valid MB", "train / valid tokens")
    table = _sources(f"{corpus.name}: vocabulary {corpus.vocabulary}, content hash {corpus.content_hash[:16]}", *sizes)
    for domain in corpus.domains:
        table.add_row(
            *_origin(domain.name, domain.sources, domain.proxy),
            f"{100 * share_of[domain.name]:.1f} %",
            f"{domain.documents:,}",
            "\n".join(f"{count:,} {reason}" for reason, count in domain.dropped.items()) or "-",
            f"{domain.train_bytes / 1e6:.2f} / {domain.valid_bytes / 1e6:.2f}",
            f"{domain.train_tokens:,} / {domain.valid_tokens:,}",
        )
    return table


def _recipes(under: Conditions) -> RichTable:
    corpus, recipes = lab.corpora.recipes(under)
    table = _sources(f"{corpus}: not prepared yet; `{again('mta-lab data prepare')}` does it")
    for recipe in recipes:
        table.add_row(*_origin(recipe.name, [part.source for part in recipe.parts], recipe.proxy))
    return table


def _sources(title: str, *more: str) -> RichTable:
    table = RichTable(title=title, show_lines=True)
    for name in ("domain", "made of", "rights", "stand-in", *more):
        table.add_column(name)
    return table


def _origin(name: str, sources: "Sequence[Source]", proxy: str) -> list[str]:
    made_of = "\n".join(f"{source.package} {source.version}".rstrip() + f": {source.what}" for source in sources)
    return [name, made_of, "\n".join(source.rights for source in sources), proxy or "-"]
