"""Waiting between attempts, longer each time."""

from __future__ import annotations

import random
import time

from msgspec import Struct


class Patience(Struct, frozen=True, kw_only=True):
    """How long to wait, in seconds."""

    first_s: float = 0.5
    most_s: float = 60.0
    give_up_s: float = 1800.0
    """Without a single byte."""
    connect_s: float = 15.0
    silent_s: float = 30.0
    """A connection over which nothing has come for so long is taken to be dead."""
    refusals: int = 5
    """Attempts in a row that may be refused behind a redirection."""


class Backoff:
    """The waits of one file."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self.attempts = 0
        """In a row, without progress."""
        self._next = patience.first_s
        self._since = time.monotonic()

    def progressed(self) -> None:
        """Something came: waits are short again."""
        self._next, self.attempts, self._since = self._patience.first_s, 0, time.monotonic()

    def step(self, asked: float | None = None) -> float | None:
        """Seconds to wait now, at least what the server `asked` for; `None` to give up."""
        self.attempts += 1
        if time.monotonic() - self._since >= self._patience.give_up_s:
            return None
        pause = max(self._next * random.uniform(0.8, 1.0), asked or 0.0)  # noqa: S311 - spreads attempts, hides nothing
        self._next = min(2 * self._next, self._patience.most_s)
        return pause
