"""A live server over a fake engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from fake import FakeEngine, Serve

from engine.api.app import build_app
from engine.api.listener import Listener


@pytest.fixture
async def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def serve(engine: FakeEngine) -> AsyncIterator[Serve]:
    """Starts a server with the given arguments of `build_app`; returns its base URL, without `/v1`."""
    listeners = []

    async def start(*, idle_s: float = 75.0, **options: Any) -> str:
        listener = await Listener.tcp(build_app(engine, local=False, **options), "127.0.0.1", 0, idle_s=idle_s)
        listeners.append(listener)
        return listener.url

    yield start
    for listener in listeners:
        await listener.close()


@pytest.fixture
async def url(serve: Serve) -> str:
    return await serve()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
