"""Hosts, clients and scripted models for the end-to-end tests of the engine without a screen."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psutil
from fixtures.waiting import until

from engine.client import EngineClient
from engine.errors import FootplateError
from engine.events import Event, MessageFinished, Snapshot
from engine.lock import holder
from engine.paths import Paths
from engine.types import ChatMessage

HOST = (sys.executable, "-P", "-m", "engine.host")
WORDS = " ".join(f"word{number}" for number in range(60)) + " the-end"


def model(home: Path, name: str, text: str) -> None:
    """Puts a scripted model into the models folder."""
    (home / "models").mkdir(exist_ok=True)
    (home / "models" / f"{name}.scripted.toml").write_text(text)


def talker(home: Path, name: str = "talker", *, rate: float = 100) -> None:
    """A model that says `WORDS` at `rate` tokens a second."""
    model(home, name, f'tok_per_s = {rate}\n[[replies]]\ntext = "{WORDS}"\n')


@contextmanager
def serving(*arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A host in the foreground with `--serve` on a free port, ended afterwards."""
    process = subprocess.Popen(
        [*HOST, "--serve", *(arguments or ("--port", "0"))],
        env={**os.environ, **environ},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def attached(*, start: bool = True, kind: str = "script") -> AsyncIterator[EngineClient]:
    """A client of the host of this home; a host it started is ended afterwards."""
    paths = Paths.find(os.environ)
    client = EngineClient(paths, kind=kind)
    try:
        await client.attach(start=start)
        yield client
    finally:
        if start:
            with suppress(FootplateError):
                await client.stop_host(force=True)
        await client.close()


async def attach_soon() -> EngineClient:
    """A client of a host that is just starting."""
    client = EngineClient(Paths.find(os.environ), kind="script")

    async def there() -> bool:
        with suppress(FootplateError):
            return bool(await client.attach(start=False))
        return False

    await until(there, "the host answers")
    return client


def host_process() -> psutil.Process:
    """The host of this home."""
    pid = holder(Paths.find(os.environ).lock)
    assert pid is not None
    return psutil.Process(pid)


def ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or only waits to be reaped."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill(process: psutil.Process) -> None:
    """Ends a process as the system's memory killer does."""
    process.send_signal(signal.SIGKILL)


class Watcher:
    """Collects the events of a client in the background."""

    def __init__(self, client: EngineClient) -> None:
        self.events: list[Event] = []
        self.error: FootplateError | None = None
        self._task = asyncio.create_task(self._collect(client))

    async def _collect(self, client: EngineClient) -> None:
        try:
            async for event in client.events():
                self.events.append(event)
        except FootplateError as error:
            self.error = error

    async def stop(self) -> None:
        """Ends the collecting."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def attached(self) -> None:
        """Waits for the snapshot."""
        await until(lambda: any(isinstance(event, Snapshot) for event in self.events), "a snapshot")

    async def finished(self, message: int) -> ChatMessage:
        """Waits for the end of a message."""

        def found() -> list[ChatMessage]:
            return [
                event.message
                for event in self.events
                if isinstance(event, MessageFinished) and event.message.id == message
            ]

        await until(lambda: bool(found()), f"message {message} is finished", 60)
        return found()[0]


@asynccontextmanager
async def watching(client: EngineClient) -> AsyncIterator[Watcher]:
    """The events of `client`, collected from the snapshot on."""
    watcher = Watcher(client)
    try:
        await watcher.attached()
        yield watcher
    finally:
        await watcher.stop()
