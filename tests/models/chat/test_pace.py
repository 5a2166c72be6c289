"""Limits on a clock of the test's own: nothing is really waited for."""

import random
from datetime import UTC, datetime

import pytest

from seedbed.models.chat.pace import Pace, backoff, retry_after


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def pace(requests: float | None, tokens: float | None) -> tuple[Pace, Time]:
    time = Time()
    return Pace(requests, tokens, time.read, time.sleep), time


def test_requests_are_spread_over_the_minute() -> None:
    limited, time = pace(30, None)
    starts = []
    for _ in range(4):
        limited.wait(1000)
        starts.append(time.now - 100)
    assert starts == pytest.approx([0, 2, 4, 6])


def test_tokens_are_spread_and_corrected() -> None:
    limited, time = pace(None, 600)
    limited.wait(100)
    limited.wait(100)
    assert time.now == pytest.approx(110)
    limited.correct(-50)
    limited.wait(1)
    assert time.now == pytest.approx(115)


def test_holding_makes_everybody_wait() -> None:
    limited, time = pace(None, None)
    limited.wait(5)
    assert time.now == 100
    limited.hold(7)
    limited.hold(3)
    limited.wait(5)
    assert time.now == pytest.approx(107)


def test_backoff_doubles_up_to_a_limit_with_jitter() -> None:
    rng = random.Random(0)
    for attempt, full in enumerate([1, 2, 4, 8, 10, 10]):
        waits = [backoff(attempt, 1, 10, rng) for _ in range(200)]
        assert full / 2 <= min(waits) < 0.55 * full
        assert 0.95 * full < max(waits) <= full


NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
