"""A listening address of the API, with the server options the handlers rely on.

A handler is cancelled when its client is gone, which is how a generation nobody reads comes to its end. A connection
that does not finish its request's headers is closed after `IDLE_S`.
"""

from __future__ import annotations

import errno
import logging
import socket
from pathlib import Path

from aiohttp import web

from engine.errors import PortTaken, StartError

IDLE_S = 75.0
"""Seconds a connection may be without a whole request's headers."""


class Listener:
    """An application that answers at one address; `close` ends it."""

    def __init__(self, runner: web.AppRunner, url: str) -> None:
        self._runner = runner
        self.url = url
        """Base URL without the `/v1`, or `unix:` and the socket's path."""

    @classmethod
    async def tcp(cls, app: web.Application, host: str, port: int, *, idle_s: float = IDLE_S) -> Listener:
        """Listens on `host` and `port` (0 takes a free one). Raises `PortTaken` or `StartError`."""
        runner = await _runner(app, idle_s)
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise _cannot_listen(host, port, error) from error
        port = runner.addresses[0][1]
        return cls(runner, f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    @classmethod
    async def on(cls, app: web.Application, listening: socket.socket, path: Path) -> Listener:
        """Answers on a Unix socket that already listens at `path`; it is closed with the listener."""
        runner = await _runner(app, IDLE_S)
        await web.SockSite(runner, listening).start()
        return cls(runner, f"unix:{path}")

    async def close(self) -> None:
        """Stops listening, cancels what is under way and closes the connections."""
        await self._runner.cleanup()


async def _runner(app: web.Application, idle_s: float) -> web.AppRunner:
    runner = web.AppRunner(
        app,
        handler_cancellation=True,
        keepalive_timeout=idle_s,
        shutdown_timeout=1.0,
        access_log=logging.getLogger("engine.api.access"),
        access_log_format='"%r" %s %b bytes %Tf s',
    )
    await runner.setup()
    return runner


def _cannot_listen(host: str, port: int, error: OSError) -> StartError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {port} on {host} is in use.",
            meaning="Another program, or another Footplate, listens there.",
            remedy="Choose another port.",
        )
    return StartError(
        f"The API cannot listen on {host} port {port}: {error.strerror or error}.",
        remedy="Check the address and port.",
    )
