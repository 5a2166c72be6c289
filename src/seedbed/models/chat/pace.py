"""How fast a server is asked: limits a minute, and how long to wait before trying again.

Waiting is exponential with jitter, so that many clients do not come back in step.
"""

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

Clock = Callable[[], float]
Sleep = Callable[[float], None]


class Pace:
    """At most `requests` and `tokens` a minute (None: no limit), evenly spread over it.

    Shared by all threads. `hold` makes everybody wait, which is what a server means by 429.
    """

    def __init__(
        self,
        requests: float | None = None,
        tokens: float | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> None:
        self.requests, self.tokens = requests, tokens
        self.clock, self.sleep = clock, sleep
        self._lock = threading.Lock()
        self._next_request = self._next_token = self._held = clock()

    def wait(self, tokens: float) -> None:
        """Return when a request of about `tokens` tokens may be sent."""
        with self._lock:
            now = self.clock()
            start = max(now, self._next_request, self._next_token, self._held)
            if self.requests:
                self._next_request = start + 60 / self.requests
            if self.tokens:
                self._next_token = start + tokens * 60 / self.tokens
        self._until(start)
        while True:  # others may have been told to wait meanwhile
            with self._lock:
                held = self._held
            if held <= self.clock():
                return
            self._until(held)

    def correct(self, tokens: float) -> None:
        """Count `tokens` more (or, negative, fewer) than `wait` was told."""
        if self.tokens:
            with self._lock:
                self._next_token += tokens * 60 / self.tokens

    def hold(self, seconds: float) -> None:
        """Nobody sends anything for so long."""
        with self._lock:
            self._held = max(self._held, self.clock() + seconds)

    def _until(self, moment: float) -> None:
        while (left := moment - self.clock()) > 0:
            self.sleep(left)


def backoff(attempt: int, first: float, longest: float, rng: random.Random) -> float:
    """Seconds before attempt `attempt` + 1: `first` × 2^attempt, at most `longest`, ± half."""
    return float(min(longest, first * 2.0**attempt) * rng.uniform(0.5, 1.0))


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for: a number or an HTTP date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
