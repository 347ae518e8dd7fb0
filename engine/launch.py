"""Starting a host in the background: detached from the terminal, and heard until it is ready or says why not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from engine.errors import ErrorInfo, HostRunning, StartError, from_info
from engine.logs import NAME
from engine.paths import Paths

READY_S = 30.0
"""Seconds within which a host is ready."""
_TAIL = 600


class _Ready(msgspec.Struct, frozen=True):
    """What a host says on its ready descriptor."""

    ok: bool = False
    error: ErrorInfo | None = None


async def start_host(paths: Paths) -> bool:
    """Starts a host for this home and waits until it answers; false when another process already is the host.

    It lives on in a session of its own when this process ends. Raises the host's reason for not starting, or
    `StartError`.
    """
    paths.make()
    log = paths.logs / NAME
    reading, writing = os.pipe()
    try:
        process = _spawn(paths, log, writing)
    except OSError as error:
        os.close(reading)
        raise StartError(f"The host cannot be started: {error}.") from error
    finally:
        os.close(writing)
    threading.Thread(target=process.wait, name="reaper of the host", daemon=True).start()
    line = await _line(reading)
    if line is None:
        raise StartError(
            f"The host (process {process.pid}) was not ready within {READY_S:.0f} s.",
            remedy=f"Its log is {log}; `kill {process.pid}` ends it.",
        )
    try:
        said = msgspec.json.decode(line, type=_Ready)
    except msgspec.MsgspecError:
        raise StartError(
            "The host ended while it was starting.", meaning=_tail(log), remedy=f"{log} says more."
        ) from None
    if said.error is None:
        return True
    if said.error.code == HostRunning.code:
        return False
    raise from_info(said.error)


def _spawn(paths: Paths, log: Path, ready: int) -> subprocess.Popen[bytes]:
    environ = dict(os.environ)
    if paths.contained:
        environ["FOOTPLATE_HOME"] = str(paths.data.parent)
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.host", "--ready-fd", str(ready)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            env=environ,
            pass_fds=(ready,),
            start_new_session=True,
        )


async def _line(reading: int) -> bytes | None:
    """What comes through the pipe until its other end is closed; `None` when that takes too long."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb"))
    try:
        async with asyncio.timeout(READY_S):
            return await reader.read()
    except TimeoutError:
        return None
    finally:
        transport.close()


def _tail(log: Path) -> str:
    try:
        return f"Its last words: {log.read_text(errors='replace')[-_TAIL:].strip()}"
    except OSError:
        return ""
