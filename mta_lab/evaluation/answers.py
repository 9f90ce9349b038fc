"""Answer all questions, keeping what is answered: after a kill, the same call goes on from there.

The batches are the same each time, and so are the answers, to the bit.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from components.evaluations.questions import Answer
from mta_lab.atomic import open_log, write_whole
from mta_lab.config import Precision
from mta_lab.evaluation.batches import Batch, ask
from mta_lab.evaluation.prepared import Prepared
from mta_lab.model import Decoder
from mta_lab.strict import FaultError, as_json, content

Advance = Callable[[int], None]
"""is called with the number of tokens that were read since the last call"""


def answered(
    model: Decoder, prepared: Prepared, precision: Precision, kept: Path, advance: Advance
) -> list[list[Answer]]:
    """Return the model's answers to each question.

    Args:
        model: in evaluation mode, with a rotary table as long as the longest question.
        prepared: the questions.
        precision: of the run that trained the model.
        kept: the file of the answers so far, a line a batch; the caller removes it at the end.
        advance: hears of each batch.

    Raises:
        FloatingPointError: a logit is not finite.
    """
    batches = prepared.batches
    lines = _so_far(kept, prepared)
    for batch in batches[: len(lines)]:
        advance(_tokens(batch))
    write_whole(kept, "".join(f"{json.dumps(line)}\n" for line in lines))  # without half a line at the end
    rest = batches[len(lines) :]
    with open_log(kept) as file:
        for batch, answers in zip(rest, ask(model, rest, prepared.decoding, precision), strict=True):
            lines.append([[place, *answer] for (place, _), answer in zip(batch, answers, strict=True)])
            file.write(f"{json.dumps(lines[-1])}\n".encode())
            file.flush()
            advance(_tokens(batch))
    found = {place: Answer(*answer) for line in lines for place, *answer in line}
    places = iter(range(len(found)))
    return [[found[next(places)] for _ in question.answers] for question in prepared.questions]


def _so_far(kept: Path, prepared: Prepared) -> list[list[list[Any]]]:
    """Return the lines of answers that are there, up to the first that is none of its batch's."""
    lines: list[list[list[Any]]] = []
    with suppress(FileNotFoundError, FaultError):
        for batch, line in zip(prepared.batches, content(kept).splitlines(), strict=False):
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
