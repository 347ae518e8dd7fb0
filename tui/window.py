"""Which part of a long conversation is mounted: pure arithmetic over a list of message lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OPENING_CHARACTERS = 6_000
"""A conversation opens with so much text from its end: some screenfuls."""
BATCH = 16
"""So many messages are added at once when the view nears an edge."""
LIMIT = 64
"""So many messages are mounted at most."""


@dataclass(frozen=True, slots=True)
class Window:
    """Messages `first` up to, but not including, `end` are mounted."""

    first: int = 0
    end: int = 0

    @classmethod
    def at_end(cls, lengths: Sequence[int]) -> Window:
        """The last messages: at least two, at most `BATCH`, about `OPENING_CHARACTERS` in all."""
        total, first = 0, len(lengths)
        while first > 0 and len(lengths) - first < BATCH and (total < OPENING_CHARACTERS or len(lengths) - first < 2):
            first -= 1
            total += lengths[first]
        return cls(first, len(lengths))

    @classmethod
    def around(cls, at: int, count: int) -> Window:
        """A batch of `count` messages with message `at` in the midst of it."""
        first = max(0, min(at - BATCH // 2, count - BATCH))
        return cls(first, min(count, first + BATCH))

    def earlier(self) -> Window:
        """A batch more above; what exceeds the limit goes below."""
        first = max(0, self.first - BATCH)
        return Window(first, min(self.end, first + LIMIT))

    def later(self, count: int) -> Window:
        """A batch more below, of `count` messages; what exceeds the limit goes above."""
        end = min(count, self.end + BATCH)
        return Window(max(self.first, end - LIMIT), end)

    def __contains__(self, at: int) -> bool:
        return self.first <= at < self.end
