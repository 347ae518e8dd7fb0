"""`footplate pull`: orders a download of the host, and shows how far it is until it is over."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

import msgspec

from engine.errors import HostUnreachable, from_info
from engine.events import JobChanged, JobProgress, Snapshot
from engine.types import FileState, JobInfo, JobState
from tui import text

if TYPE_CHECKING:
    from engine.client import EngineClient

_RESTING = {JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.PAUSED}
_BAR = 24
_STEP = 10
"""Percent between two lines where the output is no terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be downloaded."""

    what: str
    revision: str | None = None
    sha256: str | None = None
    token: str | None = None
    """Of this terminal's environment; the host's may have none."""


class Display(Protocol):
    """Where progress is shown."""

    def show(self, job: JobInfo) -> None:
        """Shows how far `job` is."""

    def close(self) -> None:
        """Leaves the line."""


def pull(client: EngineClient, wish: Wish, *, as_json: bool) -> int:
    """Downloads and shows progress; the exit code. Raises the error of a download that failed.

    Ctrl+C pauses the download, unless it ran before this began to look at it.
    """
    display: Display = (
        JsonLines(sys.stdout) if as_json else Bar(sys.stderr) if sys.stderr.isatty() else Lines(sys.stderr)
    )
    try:
        job = asyncio.run(_pull(client, wish, display))
    finally:
        display.close()
    if as_json:
        return 0 if job.state is JobState.DONE else 1
    if job.error is not None:
        raise from_info(job.error)
    print(outcome(job))
    return 0 if job.state is JobState.DONE else 1


def _display(as_json: bool) -> Display:
    if as_json:
        return JsonLines(sys.stdout)
    return Bar(sys.stderr) if sys.stderr.isatty() else Lines(sys.stderr)


def outcome(job: JobInfo) -> str:
    """What came of it, a line or two."""
    title = text.one_line(job.title)
    if job.state is not JobState.DONE:
        return f"{title} is {job.state.value}."
    where = f"{title} is in {text.one_line(job.folder)}."
    names = ", ".join(text.one_line(name) for name in job.models)
    return f"{where}\nUse it as {names}." if names else where


async def _pull(client: EngineClient, wish: Wish, display: Display) -> JobInfo:
    try:
        await client.attach(start=True)
        running = {job.id for job in await client.jobs() if job.state is JobState.RUNNING}
        job = await client.pull(wish.what, revision=wish.revision, sha256=wish.sha256, token=wish.token)
        try:
            async with aclosing(_news(client, job)) as news:
                async for job in news:
                    display.show(job)
        except asyncio.CancelledError:
            display.close()
            await _leave(client, job, pause=job.id not in running)
            raise
        except HostUnreachable as error:
            raise HostUnreachable(
                error.info.what,
                meaning="What has been downloaded is kept.",
                remedy="The same command goes on where it stopped.",
            ) from error
        return job
    finally:
        await client.close()


async def _news(client: EngineClient, job: JobInfo) -> AsyncGenerator[JobInfo, None]:
    """The job again and again, until it is over or rests."""
    async for event in client.events():
        match event:
            case Snapshot():
                found = next((known for known in event.jobs if known.id == job.id), None)
            case JobChanged() | JobProgress() if event.job.id == job.id:
                found = event.job
            case _:
                continue
        if found:
            yield found
            if found.state in _RESTING:
                return


async def _leave(client: EngineClient, job: JobInfo, *, pause: bool) -> None:
    title = text.one_line(job.title)
    if pause:
        await client.pause_job(job.id)
        print(f"{title} is paused; the same command goes on where it stopped.", file=sys.stderr)
    else:
        print(f"{title} goes on in the host.", file=sys.stderr)


class JsonLines:
    """One JSON object for each change: the job as the host tells it."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, job: JobInfo) -> None:
        """Prints the job."""
        print(msgspec.json.encode(job).decode(), file=self._out, flush=True)

    def close(self) -> None:
        """Nothing is left open."""


class Lines:
    """A line for each tenth, for logs."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown: tuple[object, ...] = ()

    def show(self, job: JobInfo) -> None:
        """Prints a line when something worth one has changed."""
        tenth = percent(job) // _STEP if job.total else 0
        now = (job.state, job.note.split(";")[0], tenth)
        if now != self._shown:
            self._shown = now
            print(line(job, 200), file=self._out, flush=True)

    def close(self) -> None:
        """Nothing is left open."""


class Bar:
    """One line that is written over."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._open = False

    def show(self, job: JobInfo) -> None:
        """Writes the line anew."""
        width = shutil.get_terminal_size().columns - 1
        self._out.write(f"\r\x1b[2K{line(job, width, bar=True)}")
        self._out.flush()
        self._open = True

    def close(self) -> None:
        """Ends the line."""
        if self._open:
            self._out.write("\n")
            self._out.flush()
            self._open = False


def percent(job: JobInfo) -> int:
    """How much is there, 0 to 100; 0 when that is not known."""
    return min(100, job.done * 100 // job.total) if job.total else 0


def line(job: JobInfo, width: int, *, bar: bool = False) -> str:
    """How far a job is, on one line of at most `width` characters; a title that is too long loses its beginning."""
    parts = []
    if job.total:
        filled = percent(job) * _BAR // 100
        parts += [f"[{'#' * filled}{'-' * (_BAR - filled)}]"] if bar and width >= 70 else []
        parts += [f"{percent(job):3d}%"]
    parts += [f"{text.size(job.done)} of {text.size(job.total)}" if job.total else text.size(job.done)]
    if job.state is JobState.RUNNING:
        parts += [f"{text.size(int(job.rate))}/s"] if job.rate else []
        parts += [f"{text.seconds(job.left_s)} left"] if job.left_s else []
    else:
        parts += [job.state.value]
    if len(job.files) > 1:
        parts += [f"{sum(file.state is FileState.DONE for file in job.files)}/{len(job.files)} files"]
    if any(file.state is FileState.CHECKING for file in job.files):
        parts += ["checking"]
    parts += [job.note] if job.note else []
    told = "  ".join(parts)
    room = max(8, width - len(told) - 2)
    title = text.one_line(job.title)
    title = title if len(title) <= room else f"…{title[1 - room :]}"
    return text.one_line(f"{title}  {told}", max(width, 10))
