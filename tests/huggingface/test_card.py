"""The card of an exported model."""

from dataclasses import replace

import pytest
import yaml

from mta_lab.huggingface.card import About, card
from mta_lab.results.record import Record
from tests.huggingface.examples import config_of
from tests.report.examples import example_record

ABOUT = About(
    title="Kernel sizes",
    row="6x11",
    command="mta-lab sweep kernel_sizes --scale nano",
    model="MtaLlamaForCausalLM",
    tokenizer="trained on this text, of 260 entries",
    difference=1.2e-6,
    largest=13.0,
    table="### Kernel sizes (nano)",
)


@pytest.fixture
def record() -> Record:
    return example_record("0123456789abcdef", 11.25, config_of("multi_token"))


def test_it_begins_with_the_header_that_hugging_face_reads(record):
    _, header, _ = card(record, ABOUT).split("---\n", 2)
    assert yaml.safe_load(header)["library_name"] == "transformers"


def test_it_says_what_the_model_scored_and_where_it_comes_from(record):
    text = card(record, ABOUT)
    assert "# Kernel sizes: 6x11\n" in text
    assert "| github | 10.25 |" in text
    assert "| mean | 11.25 |" in text
    assert "- run: `0123456789abcdef`" in text
    assert "- trained by: `mta-lab sweep kernel_sizes --scale nano`" in text
    assert "differ from those of the run's own model by 1.2e-06 at most, at values up to 13.0" in text
    assert text.endswith("### Kernel sizes (nano)\n")


def test_its_settings_are_the_runs(record):
    block = card(record, ABOUT).partition("```yaml\n")[2].partition("```")[0]
    assert yaml.safe_load(block) == record.config


def test_code_is_trusted_only_where_there_is_some(record):
    assert card(record, ABOUT).count('from_pretrained(".", trust_remote_code=True)') == 2
    assert "trust_remote_code" not in card(record, replace(ABOUT, model="LlamaForCausalLM"))


def test_a_model_of_symbols_has_no_tokenizer_to_open(record):
    text = card(record, replace(ABOUT, tokenizer=""))
    assert "AutoTokenizer" not in text
    assert "there is no tokenizer" in text
