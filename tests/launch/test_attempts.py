import pytest

from mta_lab.launch.attempts import Attempts


def test_busy_share_is_of_all_workers_since_the_first_start(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    attempts = Attempts({})
    assert attempts.busy_share(2) is None
    attempts.start(0)
    now = 104.0
    attempts.start(1)
    now = 106.0
    attempts.end(0)
    now = 110.0
    attempts.end(1)
    assert attempts.busy_share(2) == pytest.approx((6 + 6) / 20)
    assert attempts.busy_share(3) == pytest.approx((6 + 6) / 30)
