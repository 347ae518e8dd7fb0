"""Server-sent events: one generation written to one client as it comes.

Outputs pass through a bounded queue: what is ready together is written together, and a client that reads slowly holds
the generator back instead of filling memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Protocol

from aiohttp import web
from msgspec import Struct

from engine.api.errors import cut_short, encode_error, internal_error
from engine.errors import FootplateError
from engine.types import Delta, Finish, Output

log = logging.getLogger(__name__)


class Pace(Struct, frozen=True, kw_only=True):
    """The times of a stream, in seconds."""

    commit_s: float = 1.0
    """How long a first output is waited for before the headers go out; an error until then is a proper HTTP error."""
    heartbeat_s: float = 5.0
    """Silence after which an empty chunk is sent; some clients give up after 30 s without bytes."""
    stall_s: float = 120.0
    """How long a client may leave what is written to it unread."""


class EventEncoder(Protocol):
    """A dialect's way to write outputs as events."""

    def opening(self) -> bytes:
        """What is sent with the headers."""
        ...

    def heartbeat(self) -> bytes:
        """What is sent in silence."""
        ...

    def delta(self, delta: Delta) -> bytes:
        """A delta as an event, or nothing."""
        ...

    def finish(self, finish: Finish) -> bytes:
        """The end of the stream. Raises `FootplateError` where it is not a proper end."""
        ...


async def stream(
    request: web.Request, outputs: AsyncGenerator[Output, None], encoder: EventEncoder, pace: Pace
) -> web.StreamResponse:
    """Answers `request` with the events of `outputs`.

    Raises `FootplateError` only before anything was sent; later errors are events, after which the stream ends without
    its end mark. Cancellation and a lost connection close `outputs`.
    """
    async with Feed(outputs) as feed:
        batch = await feed.batch(asyncio.get_running_loop().time() + pace.commit_s)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        writer = _Writer(request, response, pace)
        await writer.write(encoder.opening())
        try:
            while True:
                data, ended = _encode(batch, encoder)
                if data:
                    await writer.write(data)
                if ended:
                    await feed.drained()
                    break
                batch = await feed.batch(writer.due)
                if not batch:
                    await writer.write(encoder.heartbeat())
        except FootplateError as error:
            log.warning("a stream ended with %s: %s", error.info.code, error.info.what)
            await writer.write(b"data: " + encode_error(error.info, error.status) + b"\n\n")
        except ConnectionError:
            raise
        except Exception:
            log.exception("a stream failed")
            await writer.write(b"data: " + encode_error(internal_error().info, 500) + b"\n\n")
    return response


def _encode(batch: Sequence[Output], encoder: EventEncoder) -> tuple[bytes, bool]:
    """The events of a batch, and whether the generation is over with it."""
    events = []
    for output in batch:
        if isinstance(output, Finish):
            events.append(encoder.finish(output))
            return b"".join(events), True
        if isinstance(output, Delta):
            events.append(encoder.delta(output))
    return b"".join(events), False


class Feed:
    """The outputs of one generation in batches of what is ready; an async context that closes the generator."""

    def __init__(self, outputs: AsyncGenerator[Output, None], most: int = 256) -> None:
        self._outputs = outputs
        self._queue: asyncio.Queue[Output | Exception] = asyncio.Queue(most)
        self._error: Exception | None = None

    async def __aenter__(self) -> Feed:
        self._pump = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pump.cancel()
        await asyncio.wait([self._pump])

    async def batch(self, deadline: float) -> list[Output]:
        """Everything that is ready, at least one output; empty when there is none until `deadline` (loop time).

        Raises what the generator raised, once all before it was given out.
        """
        ready: list[Output] = []
        if self._error is None:
            try:
                async with asyncio.timeout_at(deadline):
                    self._take(await self._queue.get(), ready)
            except TimeoutError:
                return ready
        while self._error is None and not self._queue.empty():
            self._take(self._queue.get_nowait(), ready)
        if self._error is not None and not ready:
            raise self._error
        return ready

    async def drained(self) -> None:
        """After the `Finish`: waits for the generator's own end, so that closing does not cut its clean-up short."""
        await asyncio.wait([self._pump])

    def _take(self, item: Output | Exception, ready: list[Output]) -> None:
        if isinstance(item, Exception):
            self._error = item
        else:
            ready.append(item)

    async def _run(self) -> None:
        try:
            # Closed here and not by the handler, which is cancelled in mid-cleanup when its connection is lost then.
            async with aclosing(self._outputs):
                async for output in self._outputs:
                    await self._queue.put(output)
        except Exception as error:  # noqa: BLE001  (raised again by `batch`)
            await self._queue.put(error)
        else:
            await self._queue.put(cut_short())


class _Writer:
    """Writes to a client that may be slow, and knows when the next heartbeat is due."""

    def __init__(self, request: web.Request, response: web.StreamResponse, pace: Pace) -> None:
        self._request = request
        self._response = response
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self.due = 0.0
        """Loop time."""

    async def write(self, data: bytes) -> None:
        """Writes `data`. Raises `ConnectionError` when the client is gone or does not read."""
        try:
            async with asyncio.timeout(self._pace.stall_s):
                await self._response.write(data)
        except TimeoutError as error:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("the client does not read") from error
        self.due = self._loop.time() + self._pace.heartbeat_s
