"""Commands without a screen: they ask the running host, say what it answered, and end."""

from __future__ import annotations

import asyncio
import time

import msgspec

from engine.types import HostStatus, WorkerInfo
from tui import text
from tui.engine import Engine


def status(engine: Engine, *, as_json: bool) -> int:
    """Prints what the host does; raises `HostUnreachable` when none runs."""

    async def ask() -> HostStatus:
        try:
            await engine.attach(start=False)
            return await engine.status()
        finally:
            await engine.close()

    answer = asyncio.run(ask())
    print(msgspec.json.format(msgspec.json.encode(answer)).decode() if as_json else describe(answer, time.time()))
    return 0


def stop(engine: Engine, *, force: bool) -> int:
    """Ends the host; raises `Conflict` naming what runs unless `force` is set."""

    async def ask() -> None:
        # Not attached first: a host of another version has to be stoppable, too.
        try:
            await engine.stop_host(force=force)
        finally:
            await engine.close()

    asyncio.run(ask())
    print("The host is stopped.")
    return 0


def describe(status: HostStatus, now: float) -> str:
    """The status as lines of text; `now` is Unix time."""
    kind = "serving without a screen" if status.serve else "started by a screen"
    lines = [
        f"Footplate {status.version}, pid {status.pid}, {kind}, for {text.seconds(max(0.0, now - status.started))}",
        f"home     {text.clean(status.home)}",
        f"model    {text.clean(status.active_model)}",
        *(_worker(worker) for worker in status.workers),
        f"API      {_api(status)}",
        f"work     {status.turns} chat turns, {status.requests} API requests, {status.jobs} jobs, "
        f"{status.screens} screens",
    ]
    return "\n".join(lines)


def _worker(worker: WorkerInfo) -> str:
    memory = (worker.stats and worker.stats.memory) or (worker.facts and worker.facts.memory)
    parts = [text.clean(worker.model), worker.runtime, worker.state.value]
    parts += [f"{worker.facts.context} tokens of context"] if worker.facts else []
    parts += [text.size(memory)] if memory else []
    parts += [worker.error.sentence()] if worker.error else []
    return "worker   " + ", ".join(parts)


def _api(status: HostStatus) -> str:
    if status.api.error is not None:
        return text.clean(status.api.error.sentence())
    if not status.api.enabled:
        return "off"
    return f"on at {status.api.url}" + (", key required" if status.api.key_required else ", no key")
