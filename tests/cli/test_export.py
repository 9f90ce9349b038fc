"""`mta-lab export` without its extra; `test_exported.py` has what it writes."""

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_without_the_extra_it_says_what_to_type(lab: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # as if it were not installed
    complaint = lab("export", "language_modeling", "mta", "--to", "model").complaint
    assert complaint.startswith("mta-lab export: needs transformers")
    assert complaint.endswith("type: pip install 'mta-lab[hf]'")
    assert not Path("model").exists()
