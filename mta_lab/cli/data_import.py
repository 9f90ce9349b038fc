"""`mta-lab data import`: text of any size as token shards, with a tokenizer of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mta_lab import lab
from mta_lab.cli.terminal import Terminal
from mta_lab.words import counted

if TYPE_CHECKING:
    from mta_lab.data import Domain


def data_import(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="a file or folder of .jsonl, .parquet or .txt, also compressed; corpus:packages or corpus:stdlib, "
            "the text that ships; hub:NAME, a data set of Hugging Face",
        ),
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="the folder to make, for data.tokens=DIR")],
    tokenizer: Annotated[
        Path, typer.Option(metavar="FILE", help="a tokenizer.json, or Llama 3's tokenizer.model (tiktoken)")
    ],
    text_key: Annotated[str, typer.Option(metavar="KEY", help="the key of a record's text")] = "text",
    domain_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="the key of a record's domain, like meta.redpajama_set_name; default: domains are files and folders",
        ),
    ] = None,
    held_out: Annotated[
        float, typer.Option(metavar="SHARE", help="share of the documents held out, half valid, half test")
    ] = 0.01,
    end_of_text: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="the token after each document; default: the tokenizer's usual")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="end after N training tokens; default: at the source's end")
    ] = None,
) -> None:
    """Make token shards of your text, for `data.tokens`.

    The text is read in order, never all at once, and split into train, valid and test by a hash of
    each document. The same command goes on with an import that was ended.
    """
    display = Terminal()
    options = lab.imports.ImportOptions(
        to=to,
        tokenizer=tokenizer,
        text_key=text_key,
        domain_key=domain_key,
        held_out=held_out,
        end_of_text=end_of_text,
        tokens=tokens,
    )
    corpus = lab.imports.imported(source, options, display)
    for domain in corpus.domains:
        display.say(_amount(domain))
    trains = f"`data.tokens={to} model.vocabulary={corpus.vocabulary}` trains on it"
    if not all(domain.valid_tokens for domain in corpus.domains):
        trains = "no run can train on it, as a domain has no text for validation"
    display.say(f"{corpus.directory}: ready, content hash {corpus.content_hash[:16]}; {trains}")


def _amount(domain: "Domain") -> str:
    """Return a line on the tokens and documents of a domain."""
    dropped = "".join(f", {count:,} {reason} dropped" for reason, count in domain.dropped.items())
    split = f"{domain.train_tokens:,} to train, {domain.valid_tokens:,} valid"
    if domain.test_tokens is not None:
        split += f", {domain.test_tokens:,} test"
    return f"domain '{domain.name}': {counted(domain.documents, 'document')}{dropped}; tokens: {split}"
