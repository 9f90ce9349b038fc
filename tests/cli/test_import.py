"""`mta-lab data import` says at its end what to type next."""

import json
from pathlib import Path

from tests.cli.conftest import Command
from tests.data.imports import write_tokenizer


def test_an_import_ends_with_the_settings_that_train_on_it(lab: Command) -> None:
    Path("web.jsonl").write_text("".join(json.dumps({"text": f"text {n}"}) + "\n" for n in range(40)))
    asked = ("data", "import", "web.jsonl", "--tokenizer", str(write_tokenizer(Path())))
    whole = lab(*asked, "--to", "half", "--held-out", "0.5")
    assert "`data.tokens=half model.vocabulary=524` trains on it" in " ".join((whole.out + whole.err).split())
    small = lab(*asked, "--to", "few", "--held-out", "0.000001")
    assert "no run can train on it, as a domain has no text for validation" in " ".join((small.out + small.err).split())
