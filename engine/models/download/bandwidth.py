"""The limit that all downloads share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

BLOCK = 2**20
"""Bytes read at once where there is no limit."""
_LEAST = 4096


class Bandwidth:
    """Makes those who take bytes wait, so that together they take no more than the limit."""

    def __init__(self, limit_mb_s: Callable[[], float]) -> None:
        """`limit_mb_s` is asked at every turn; 0 is no limit."""
        self._limit = limit_mb_s
        self._free_at = 0.0

    @property
    def block(self) -> int | None:
        """Bytes to read at once, a tenth of a second's share; `None`: whatever is there."""
        limit = self._limit() * 1e6
        return max(_LEAST, min(BLOCK, int(limit / 10))) if limit else None

    async def take(self, size: int) -> None:
        """Waits until `size` bytes may be taken."""
        limit = self._limit() * 1e6
        if not limit:
            self._free_at = 0.0
            return
        now = asyncio.get_running_loop().time()
        self._free_at = max(now, self._free_at) + size / limit
        await asyncio.sleep(self._free_at - now)
