"""Train on a share of the tokens: `training.token_share` scales the steps of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

FEWEST_VALIDATIONS = 4  # of a run that has more; each is as large as before, and a curve needs some points
SECTION = "training"


def take_share(training: Any, origins: Mapping[str, str], sources: Sequence[str]) -> None:
    """Scale steps, warm-up and validations in `training`, which is a run's section of that name.

    Only what a layer before the share's sets is scaled: who writes steps beside a share, or after
    it, means them. Values that no run can have stay, to be refused.

    Args:
        training: the section; its type is not checked yet.
        origins: by dotted key, the layer that set it.
        sources: the layers in the order in which they are applied.
    """
    share = training.get("token_share", 1) if isinstance(training, dict) else 1
    if type(share) not in (int, float) or not 0 < share < 1:
        return
    given = sources.index(origins[f"{SECTION}.token_share"])

    def before(name: str) -> int | None:
        """Return a number that is to be scaled."""
        number, origin = training.get(name), origins.get(f"{SECTION}.{name}")
        earlier = origin in sources and sources.index(origin) < given
        return number if earlier and type(number) is int and number >= 0 else None

    steps, warmup, validations = before("steps"), before("warmup_steps"), before("validations")
    if steps is not None:
        training["steps"] = max(1, round(steps * share))
    if type(training.get("steps")) is not int:
        return
    if warmup is not None:
        scaled = round(warmup * share)
        training["warmup_steps"] = scaled if steps is None else max(0, min(scaled, training["steps"] - 1))
    if validations is not None:
        fewest = min(validations, FEWEST_VALIDATIONS)
        training["validations"] = max(1, min(max(round(validations * share), fewest), training["steps"]))
