"""Keeps the arithmetic fast."""

import gc

import pytest


@pytest.fixture(autouse=True)
def no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """statsmodels' multipletests collects garbage at each call, which takes 0.15 s with torch loaded."""
    monkeypatch.setattr(gc, "collect", lambda *_: 0)
