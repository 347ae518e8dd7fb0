"""A real host in a process of its own, its API on a port that was free."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from engine.paths import Paths


class Host:
    """A running host and what its socket says."""

    def __init__(self, socket: Path) -> None:
        self.http = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)))

    async def status(self) -> dict[str, Any]:
        async with self.http.get("http://host/control/status") as answer:
            return await answer.json()

    async def url(self) -> str:
        """Where the API is, without `/v1`."""
        return (await self.status())["api"]["url"]


@asynccontextmanager
async def started(paths: Paths) -> AsyncIterator[Host]:
    """A host over the models that lie there; ended in the end."""
    ready, ready_fd = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "engine.host", "--serve", "--port", "0", "--ready-fd", str(ready_fd)),
        pass_fds=[ready_fd],
    )
    os.close(ready_fd)
    with os.fdopen(ready) as said:
        assert json.loads(await asyncio.to_thread(said.readline)) == {"ok": True}
    running = Host(paths.socket)
    yield running
    await running.http.close()
    process.terminate()
    await process.wait()
