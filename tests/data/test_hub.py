"""A data set of Hugging Face as a source; a package of that name stands for the library here."""

import sys
from pathlib import Path

import pytest

from mta_lab.data.hub import HubReader
from mta_lab.data.reading import Keys
from mta_lab.errors import UserError
from mta_lab.lab.display import Display
from mta_lab.lab.imports import ImportOptions, imported
from tests.data.imports import write_tokenizer

LIBRARY = '''
class Stream:
    """Rows in order, with the state of the library's streams: where the next row is."""

    def __init__(self):
        self.place = 0

    def load_state_dict(self, state):
        self.place = state["place"]

    def state_dict(self):
        return {"place": self.place}

    def __iter__(self):
        while self.place < 60:
            if self.place == 50 and not ONLINE:
                raise ConnectionError("the line is gone")
            self.place += 1
            yield {"text": f"the thing {self.place - 1}", "meta": {"set": ["RedPajamaC4", "web"][self.place % 2]}}

ONLINE = True

def load_dataset(name, configuration, *, split, streaming):
    assert split == "train" and streaming
    if name == "closed/set":
        raise PermissionError("Dataset 'closed/set' is a gated dataset on the Hub.")
    return Stream()
'''
KEYS = Keys(domain="meta.set")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "datasets.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path / "library")
    monkeypatch.delitem(sys.modules, "datasets", raising=False)


@pytest.mark.usefixtures("library")
def test_a_stream_goes_on_at_any_document() -> None:
    whole = list(HubReader("hub:some/set", KEYS, {}))
    assert whole[:2] == [("web", "the thing 0"), ("c4", "the thing 1")]
    for read in (0, 1, 30, 59):
        reader = HubReader("hub:some/set", KEYS, {})
        begun = [next(iter(reader)) for _ in range(read)]
        assert begun + list(HubReader("hub:some/set", KEYS, reader.state)) == whole


@pytest.mark.usefixtures("library")
def test_a_data_set_is_imported(tmp_path: Path) -> None:
    options = ImportOptions(
        to=tmp_path / "tokens", tokenizer=write_tokenizer(tmp_path), domain_key="meta.set", held_out=0.5
    )
    corpus = imported("hub:some/set", options, Display(lambda _: None, pytest.fail))
    assert [(domain.name, domain.documents) for domain in corpus.domains] == [("c4", 30), ("web", 30)]


@pytest.mark.usefixtures("library")
def test_a_data_set_that_needs_signing_in_says_so() -> None:
    with pytest.raises(
        UserError, match=r"hub:closed/set: cannot be opened \(.*gated.*\); .* needs `hf auth login` or HF"
    ):
        HubReader("hub:closed/set", KEYS, {})


@pytest.mark.usefixtures("library")
def test_a_line_that_is_gone_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = HubReader("hub:some/set", KEYS, {})
    monkeypatch.setattr(sys.modules["datasets"], "ONLINE", False)
    with pytest.raises(UserError, match=r"cannot be read on \(ConnectionError: .*\); the same command goes on where"):
        list(reader)
    assert reader.state == {"place": 50}


def test_the_missing_package_is_named_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # as if it were not installed
    with pytest.raises(
        UserError, match=r"hub:some/set: needs the package datasets; type: pip install 'mta-lab\[hub\]'"
    ):
        HubReader("hub:some/set", KEYS, {})
