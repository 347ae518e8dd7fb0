"""The WebSocket of events: a snapshot, then what changes, until the client goes or falls behind."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from engine.bus import CutOff, Subscription
from engine.errors import VersionMismatch
from engine.parts import Parts

BEHIND = 4000
"""Close code: the client did not keep up; a new connection begins with a new snapshot."""
STALLED_S = 60.0
"""Seconds that one frame may take to be accepted; a suspended screen is attached as long as nothing is sent."""


async def stream_events(request: web.Request, parts: Parts) -> web.StreamResponse:
    """Serves one client. Raises `VersionMismatch` before the connection is upgraded."""
    version = request.query.get("version", parts.identity.version)
    if version != parts.identity.version:
        raise VersionMismatch(
            f"The host is Footplate {parts.identity.version}, and this program is {version}.",
            remedy="End the host with `footplate stop` and start again.",
        )
    socket = web.WebSocketResponse(timeout=1.0)
    await socket.prepare(request)
    screen = request.query.get("client", "screen") == "screen"
    with parts.presence.hold("screens" if screen else "watchers"):
        subscription = parts.bus.subscribe(parts.snapshot)
        sending = asyncio.create_task(_send(socket, subscription))
        try:
            await _until_closed(socket)
        finally:
            parts.bus.unsubscribe(subscription)
            sending.cancel()
            await asyncio.wait([sending])
    return socket


async def _send(socket: web.WebSocketResponse, subscription: Subscription) -> None:
    with contextlib.suppress(ConnectionError):
        try:
            while True:
                envelope = await subscription.get()
                async with asyncio.timeout(STALLED_S):
                    await socket.send_str(msgspec.json.encode(envelope).decode())
        except CutOff:
            code = WSCloseCode.GOING_AWAY if subscription.ended else BEHIND
            await socket.close(code=code)
        except TimeoutError:
            await socket.close(code=BEHIND)


async def _until_closed(socket: web.WebSocketResponse) -> None:
    """Reads until the client closes; what it sends is not asked for and passed over."""
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            return
