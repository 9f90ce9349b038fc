"""The card of an exported model: how to open it, what it scored, and where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mta_lab.config.tree import as_yaml
from mta_lab.results.record import Record

PAPER = "[Multi-Token Attention](https://arxiv.org/abs/2504.00927)"
MTA = "MtaLlamaForCausalLM"
HEAD = """---
library_name: transformers
pipeline_tag: text-generation
tags:
- mta-lab
- multi-token-attention
---
"""
TRUST = """
`trust_remote_code=True` runs `modeling_mta_llama.py` of this folder, which imports torch and transformers alone. With
MTA Lab installed, `import mta_lab.huggingface.models` does without it.
"""
SYMBOLS = "\nThe model was trained on sequences of symbols: its input is their numbers, and there is no tokenizer.\n"


@dataclass(frozen=True, kw_only=True)
class Inserted:
    """A pretrained Llama with operations inserted, in the words of its card."""

    source: str
    """the folder or file that the Llama is from, without its path"""
    rights: str
    """the licence of its weights; empty where it is not known"""
    model: str
    attention: Mapping[str, Any]
    """the settings of the attention"""
    new: int
    """the number of new parameters"""


def retrofit_card(about: Inserted) -> str:
    """Return the card of a Llama with operations inserted as Markdown."""
    rights = f"The licence of the weights is the Llama's{about.rights and f', {about.rights}'}."
    operations = (
        f"with the operations of {PAPER}, inserted at their start by MTA Lab: {about.new:,} new parameters, not "
        "trained yet. Its logits are those of the Llama's eager attention, to the bit."
    )
    title = f"{about.source} with Multi-Token Attention" if about.new else about.source
    parts = [
        f"{HEAD}\n# {title}",
        f"A pretrained Llama in float32, {operations if about.new else 'as it is.'} {rights}",
        _opening(about.model, tokenizer=True),
        f"## Attention\n\n```yaml\n{as_yaml(about.attention)}```",
    ]
    return "\n\n".join(parts) + "\n"


@dataclass(frozen=True, kw_only=True)
class About:
    """A model, in the words of its card, besides its record."""

    title: str
    """the sweep's title"""
    row: str
    command: str
    """the command that trains the run, as typed"""
    model: str
    """the name of its class"""
    tokenizer: str
    """the tokenizer in words; empty where there is none"""
    difference: float
    """between a logit of the run's own model and the exported one's, at most"""
    largest: float
    """the largest of these logits"""
    table: str
    """the sweep's table in Markdown"""


def card(record: Record, about: About) -> str:
    """Return the card as Markdown, with the header that Hugging Face reads."""
    seed, scale = record.config["seed"], record.config["scale"]
    parts = [
        f"{HEAD}\n# {about.title}: {about.row}",
        f"A run of an ablation sweep of {PAPER}, trained with MTA Lab: {record.parameters:,} parameters, scale "
        f"{scale}, seed {seed}. It shows what a row of a table is, and is no model for other uses.",
        _opening(about.model, tokenizer=bool(about.tokenizer)),
        f"## Scores\n\n{_scores(record)}",
        f"## Where it comes from\n\n{_listed(_facts(record, about))}",
        f"## Settings\n\n```yaml\n{as_yaml(record.config)}```",
        f"## The table that it is a row of\n\n{about.table}",
    ]
    return "\n\n".join(parts) + "\n"


def _opening(model: str, *, tokenizer: bool) -> str:
    """Return the section on how the folder is opened."""
    notes = [TRUST if model == MTA else "", "" if tokenizer else SYMBOLS]
    return f"## Open it\n\n```python\n{_example(model, tokenizer=tokenizer)}```\n{''.join(notes)}".rstrip()


def _example(model: str, *, tokenizer: bool) -> str:
    """Return the Python that opens the folder and generates."""
    trusted = ", trust_remote_code=True" if model == MTA else ""
    load = f'model = AutoModelForCausalLM.from_pretrained("."{trusted})  # "." is this folder\n'
    if not tokenizer:
        return f"from transformers import AutoModelForCausalLM\n\n{load}"
    return (
        f"from transformers import AutoModelForCausalLM, AutoTokenizer\n\n{load}"
        f'tokenizer = AutoTokenizer.from_pretrained("."{trusted})\n'
        'prompt = tokenizer("The cat", return_tensors="pt")\n'
        "print(tokenizer.decode(model.generate(**prompt, max_new_tokens=20)[0]))\n"
    )


def _scores(record: Record) -> str:
    """Return a table with the score of each domain, and their mean."""
    metric = record.metric
    unit = metric.unit and f" ({metric.unit})"
    scores = [*record.domains.items(), ("mean", record.score)]
    lines = [f"| {name} | {metric.written(score)} |" for name, score in scores]
    return "\n".join([f"| held-out text | {metric.words}{unit} |", "|:--|--:|", *lines])


def _facts(record: Record, about: About) -> Mapping[str, Any]:
    made = record.provenance
    return {
        "run": f"`{record.fingerprint}`",
        "trained by": f"`{about.command}`",
        "measured on": f"{record.machine}, torch {made['torch']}, commit {made['commit']}",
        "finished": made.get("finished", "at an unknown time"),
        "text": f"SHA-256 of its tokens and tokenizer {record.content_hash}" if record.content_hash else "none: drawn",
        "tokenizer": about.tokenizer or "none",
        "logits": f"differ from those of the run's own model by {about.difference:.1e} at most, at values up to "
        f"{about.largest:.1f} (rounding)",
    }


def _listed(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {fact}" for name, fact in facts.items())
