"""The state of a run, read from its records, those of earlier versions too."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mta_lab.config import plain
from mta_lab.results.recorded_settings import LATER
from mta_lab.results.records import Records, settings_key
from mta_lab.results.states import states_of
from tests.config.helpers import config
from tests.report.examples import example_record

FIRST = {
    "model": {"width", "layers", "heads", "vocabulary", "context", "rope_theta", "feed_forward_multiple"},
    "training": {"steps", "batch_size", "learning_rate", "warmup_steps", "schedule", "validation_tokens", "validations"}
    | {"weight_decay", "beta1", "beta2", "epsilon", "gradient_clip", "precision"},
    "data": {"corpus", "path", "evaluate"},
}
"""the settings that records of the first version have"""


def earlier(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as a record of the first version has them."""
    return settings | {name: {key: settings[name][key] for key in keys} for name, keys in FIRST.items()}


def test_every_setting_that_came_later_says_what_earlier_runs_had() -> None:
    settings = plain(config())
    assert {(name, key) for name in FIRST for key in settings[name].keys() - FIRST[name]} == LATER.keys()
    assert all(settings[name][key] == value for (name, key), value in LATER.items())


def test_the_result_of_an_earlier_version_is_stale_and_not_unknown(tmp_path: Path) -> None:
    records, run = Records(tmp_path), config()
    records.finish(replace(example_record("earlier", 30.0, run), config=earlier(plain(run))))
    assert states_of({"now": run}, records) == {"now": "stale"}


@pytest.mark.parametrize("setting", ["training.compiled=false", "data.mixture={a: 1}", "model.heads=2", "seed=1"])
def test_a_result_of_other_settings_says_nothing(setting: str, tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.finish(replace(example_record("earlier", 30.0, config()), config=earlier(plain(config()))))
    assert states_of({"now": config(setting)}, records) == {"now": "pending"}
    assert settings_key(plain(config(setting))) != settings_key(plain(config()))
