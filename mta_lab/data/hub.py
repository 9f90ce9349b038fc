"""Stream a data set of Hugging Face in order; needs the package `datasets`, which is an extra."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from mta_lab.data.reading import Keys, State
from mta_lab.errors import UserError, described

HUB = "hub:"


class HubReader:
    """Yields (domain, text) of the split `train` of a data set, NAME or NAME:CONFIGURATION."""

    def __init__(self, source: str, keys: Keys, state: State) -> None:
        """Begin; raise UserError where the data set cannot be opened."""
        self._source, self._keys = source, keys
        self._domain = source.removeprefix(HUB).split(":")[0].rpartition("/")[2]
        self._stream = _opened(source)
        if state:
            self._stream.load_state_dict(dict(state))

    @property
    def state(self) -> State:
        """Return the stream's own state."""
        state: State = self._stream.state_dict()
        return state

    @property
    def position(self) -> int:
        """Return 0: how large a stream is is not known."""
        return 0

    def __iter__(self) -> Iterator[tuple[str, str]]:
        rows = iter(self._stream)
        while True:
            try:
                record = next(rows, None)
            except Exception as error:  # of the network, of a file's format: the library has many
                goes_on = "the same command goes on where it stopped"
                raise UserError(f"{self._source}: cannot be read on ({described(error)}); {goes_on}") from None
            if record is None:
                return
            domain = self._keys.domain_of(record, self._domain, self._source)
            yield domain, self._keys.text_of(record, self._source)


def _opened(source: str) -> Any:
    try:
        datasets = import_module("datasets")  # by name: it is an extra
    except ImportError:
        raise UserError(f"{source}: needs the package datasets; type: pip install 'mta-lab[hub]'") from None
    name, _, configuration = source.removeprefix(HUB).partition(":")
    try:
        return datasets.load_dataset(name, configuration or None, split="train", streaming=True)
    except Exception as error:  # not there, not reachable, not allowed: the library has many
        sign_in = "a data set that asks for signing in needs `hf auth login` or HF_TOKEN first"
        raise UserError(f"{source}: cannot be opened ({described(error)}); {sign_in}") from None
