"""Keeps a rate of steps without turning idly."""

from __future__ import annotations

import time

_LONGEST_S = 0.02


class Pace:
    """Steps at a rate, in steps per second; 0 is as fast as possible."""

    def __init__(self, rate: float) -> None:
        self._period = 1 / rate if rate else 0.0
        self._next = 0.0

    def due(self) -> bool:
        """Whether it is time for a step. Sleeps until it is, but not for long: commands must not wait."""
        now = time.monotonic()
        if self._next > now:
            time.sleep(min(self._next - now, _LONGEST_S))
            now = time.monotonic()
        if self._next > now:
            return False
        late = now - self._next
        self._next = now + self._period - (late if late < self._period else 0.0)
        return True
