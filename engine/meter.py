"""How fast something grows: the rate over the last seconds, and the time that is left."""

from __future__ import annotations

from collections import deque

WINDOW_S = 8.0
"""Seconds over which the rate is taken."""
LEAST_S = 0.5
"""A rate over less than this says nothing."""


class Meter:
    """Fed with times and counts that never fall."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        """Notes that `done` had been reached at `now` (seconds of any one clock)."""
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW_S:
            self._seen.popleft()

    @property
    def rate(self) -> float | None:
        """Units a second; `None` while too little has been seen."""
        if not self._seen:
            return None
        (begun, first), (now, done) = self._seen[0], self._seen[-1]
        return (done - first) / (now - begun) if now - begun >= LEAST_S else None

    def left_s(self, total: int | None) -> float | None:
        """Seconds until `total` is reached at this rate; `None` when that cannot be said."""
        rate = self.rate
        if total is None or not rate:
            return None
        return max(0.0, (total - self._seen[-1][1]) / rate)
