"""Answer all questions, keeping what is answered: after a kill, the same call goes on from there.

The batches are the same each time, and so are the answers, to the bit.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

from components.evaluations.questions import Answer
from mta_lab.atomic import open_log, write_whole
from mta_lab.evaluation.batches import Batch
from mta_lab.strict import FaultError, as_json, content

Advance = Callable[[int, int], None]
"""is called with how many tokens were read, and how many there are to be read"""


def answered(
    batches: Sequence[Batch], ask: Callable[[Sequence[Batch]], Iterable[list[Answer]]], kept: Path, advance: Advance
) -> list[Answer]:
    """Return a model's answers by their numbers.

    Args:
        batches: the possible answers, numbered from 0.
        ask: yields the answers of each batch, in its order.
        kept: the file of the answers so far, a line a batch; the caller removes it at the end.
        advance: hears of each batch.

    Raises:
        FloatingPointError: a logit is not finite.
    """
    lines = _so_far(kept, batches)
    read = [*accumulate(map(_tokens, batches))]
    for done in read[: len(lines)]:
        advance(done, read[-1])
    write_whole(kept, "".join(f"{json.dumps(line)}\n" for line in lines))  # without half a line at the end
    rest = batches[len(lines) :]
    with open_log(kept) as file:
        for batch, answers in zip(rest, ask(rest), strict=True):
            lines.append([[place, *answer] for (place, _), answer in zip(batch, answers, strict=True)])
            file.write(f"{json.dumps(lines[-1])}\n".encode())
            file.flush()
            advance(read[len(lines) - 1], read[-1])
    found = {place: Answer(*answer) for line in lines for place, *answer in line}
    return [found[place] for place in range(len(found))]


def _so_far(kept: Path, batches: Sequence[Batch]) -> list[list[list[Any]]]:
    """Return the lines of answers that are there, up to the first that is none of its batch's."""
    lines: list[list[list[Any]]] = []
    with suppress(FileNotFoundError, FaultError):
        for batch, line in zip(batches, content(kept).splitlines(), strict=False):
            found = as_json(line)
            if not _is_of(found, batch):
                break
            lines.append(found)
    return lines


def _is_of(line: Any, batch: Batch) -> bool:
    """Return whether a line has the answers of a batch."""
    kinds = (int, float, bool, bool)
    if not isinstance(line, list) or not all(isinstance(one, list) and len(one) == len(kinds) for one in line):
        return False
    places = [place for place, _ in batch]
    return [one[0] for one in line] == places and all(tuple(map(type, one)) == kinds for one in line)


def _tokens(batch: Batch) -> int:
    return sum(len(asking.tokens) for _, asking in batch)
