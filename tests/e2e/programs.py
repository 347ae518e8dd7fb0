"""What programs do: a host that serves, its API, and questions to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from hosts import attach_soon, serving

from engine.client import EngineClient


@asynccontextmanager
async def api() -> AsyncIterator[tuple[EngineClient, aiohttp.ClientSession]]:
    """A host of this home, and a session at its API that opens as many connections as it likes."""
    with serving("--port", "0"):
        client = await attach_soon()
        try:
            url = (await client.status()).api.url
            assert url is not None
            connections = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(f"{url}/v1/", connector=connections) as http:
                yield client, http
        finally:
            await client.close()


def asked(name: str, text: str, **more: Any) -> dict[str, Any]:
    return {"model": name, "messages": [{"role": "user", "content": text}], "temperature": 0, **more}


async def said(http: aiohttp.ClientSession, body: dict[str, Any]) -> str:
    """The text of a request that is answered."""
    async with http.post("chat/completions", json=body) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["choices"][0]["message"]["content"])
