"""How many prompt tokens one step takes, from how fast prefill is measured to be; and how fast decode is."""

from __future__ import annotations

import math

ALONE_S = 2.0
"""Longest step while nobody waits for tokens: what a cancel may wait."""
BESIDE_STREAMS_S = 0.25
"""Longest prefill beside running streams: the gap their readers see."""
SMALLEST = 32
"""Tokens below which a chunk wastes the matrix kernels, and streams gain little."""
_GUESS_S = 0.001
_WEIGHT = 0.3
"""Share of the newest measurement in the running mean."""


class Pace:
    """A running mean of seconds per prompt token, and the chunk that follows from it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._per_token_s: float | None = None

    def measured(self, tokens: int, seconds: float) -> None:
        """Notes a step that computed `tokens` prompt tokens in `seconds`; small ones say little and are left out."""
        if tokens < SMALLEST:
            return
        rate = seconds / tokens
        old = self._per_token_s
        self._per_token_s = rate if old is None else old + _WEIGHT * (rate - old)

    @property
    def per_token_s(self) -> float:
        """Seconds that a prompt token takes; a guess before anything was measured."""
        return _GUESS_S if self._per_token_s is None else self._per_token_s

    def chunk(self, beside_streams: bool) -> int:
        """Prompt tokens for the next step: a power of two between `SMALLEST` and the most a step may take.

        Powers of two, so that the same prompt is mostly cut in the same places and gives the same text.
        """
        if self._per_token_s is None:
            return min(SMALLEST * 2, self._most)
        target = BESIDE_STREAMS_S if beside_streams else ALONE_S
        fitting = target / max(self._per_token_s, 1e-9)
        chunk = SMALLEST
        while chunk * 2 <= min(fitting, self._most):
            chunk *= 2
        return min(chunk, self._most)


class Rate:
    """Tokens per second of decode, as a mean over about the last second."""

    def __init__(self) -> None:
        self.value: float | None = None

    def note(self, tokens: int, seconds: float) -> None:
        """Adds a step."""
        rate = tokens / max(seconds, 1e-9)
        weight = 1.0 if self.value is None else -math.expm1(-seconds)
        self.value = rate if self.value is None else self.value + weight * (rate - self.value)
