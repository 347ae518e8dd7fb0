"""How many generations are under way or waiting at once, and what the others are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import Overloaded


class Admission:
    """Counts generations; above `most` the next one is refused rather than queued without end.

    What is admitted waits for a slot in its model's worker.
    """

    def __init__(self, most: int = 64, retry_after_s: float = 2.0) -> None:
        self.most = most
        self.retry_after_s = retry_after_s
        self.active = 0
        """Generations under way or waiting now."""

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Holds one place. Raises `Overloaded` when there is none."""
        if self.active >= self.most:
            raise Overloaded(
                f"{self.active} requests are under way or waiting, and no more are kept.",
                remedy="Try again in a moment, or send fewer at once.",
                retry_after_s=self.retry_after_s,
            )
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1
