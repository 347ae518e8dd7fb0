"""What restoring a state costs beside computing its tokens, from what both were measured to take."""

from __future__ import annotations

_WEIGHT = 0.3
"""Share of the newest measurement in the running mean."""
_SMALLEST = 1_000_000
"""Bytes below which a transfer says more of its overhead than of its rate."""
_MARGIN = 0.8
"""Restoring must take less than this share of computing: the estimates are no better."""


class Rates:
    """Running means of bytes per second. They start low, so that the first restore is one that pays for sure."""

    def __init__(self) -> None:
        self._memory = 1e9
        self._read = 4e8
        self._write = 1e8

    def restored(self, size: int, seconds: float, *, from_disk: bool) -> None:
        """Notes a restore: reading and verifying where `from_disk`, and putting it into the KV cache."""
        if size < _SMALLEST:
            return
        if from_disk:
            self._read = _mean(self._read, size / max(seconds, 1e-9))
        else:
            self._memory = _mean(self._memory, size / max(seconds, 1e-9))

    def wrote(self, size: int, seconds: float) -> None:
        """Notes a write to disk."""
        if size >= _SMALLEST:
            self._write = _mean(self._write, size / max(seconds, 1e-9))

    def restore_s(self, size: int, *, from_disk: bool) -> float:
        """Seconds that a restore is expected to take."""
        return size / (self._read if from_disk else self._memory)

    def write_s(self, size: int) -> float:
        """Seconds that a write to disk is expected to take."""
        return size / self._write

    def pays(self, size: int, compute_s: float, *, from_disk: bool) -> bool:
        """Whether a restore is worth it where computing takes `compute_s`."""
        return self.restore_s(size, from_disk=from_disk) < compute_s * _MARGIN


def _mean(old: float, new: float) -> float:
    return old + _WEIGHT * (new - old)
