"""Carries events to the screen in batches, so that they cause no more repaints a second than a slow link bears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from engine.events import Event


async def pump(events: AsyncIterator[Event], deliver: Callable[[list[Event]], None], max_fps: int) -> None:
    """Delivers `events` until they end: the first at once, then in batches at most `max_fps` times a second.

    What ends the iterator (`HostUnreachable`) is raised after everything before it was delivered.
    """
    pending: list[Event] = []
    arrived = asyncio.Event()

    def flush() -> None:
        arrived.clear()
        if pending:
            batch = pending.copy()
            pending.clear()
            deliver(batch)

    async def flush_at_rate() -> None:
        while await arrived.wait():
            flush()
            await asyncio.sleep(1 / max_fps)

    flusher = asyncio.create_task(flush_at_rate())
    try:
        async for event in events:
            pending.append(event)
            arrived.set()
    finally:
        flusher.cancel()
        flush()
