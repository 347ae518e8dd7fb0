"""Who is attached and what runs: the counts a screen shows, and what keeps a host alive."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Hold = Literal["screens", "watchers", "turns", "requests", "jobs", "loads", "api", "calls"]
"""Reasons for a host to stay: attached screens and scripts, work, the open API, a control call being answered."""


class Presence:
    """Counts what is held at the moment, by kind; calls `changed` when a count that is shown changes."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._held: Counter[Hold] = Counter()
        self._moved = asyncio.Event()

    def count(self, kind: Hold) -> int:
        """How many of `kind` are held now."""
        return self._held[kind]

    @contextmanager
    def hold(self, kind: Hold) -> Iterator[None]:
        """Counts one more of `kind` for the length of the block."""
        self._add(kind, 1)
        try:
            yield
        finally:
            self._add(kind, -1)

    async def idle(self, grace_s: float) -> None:
        """Returns once nothing has been held for `grace_s` seconds in a row."""
        while True:
            self._moved.clear()
            try:
                async with asyncio.timeout(None if self._held.total() else grace_s):
                    await self._moved.wait()
            except TimeoutError:
                return

    def _add(self, kind: Hold, number: int) -> None:
        self._held[kind] += number
        self._moved.set()
        if kind in {"screens", "turns", "requests", "jobs"}:
            self._changed()
