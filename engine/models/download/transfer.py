"""One file: fetched into its part, again and again until it is whole, and verified."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from engine.errors import DownloadFailed, FootplateError, HubUnreachable, WrongContent
from engine.models.download.backoff import Backoff, Patience
from engine.models.download.bandwidth import Bandwidth
from engine.models.download.part import PartFile, content_matches, present, seems_there
from engine.models.download.plan import PlannedFile
from engine.models.download.request import Interrupted, opened, reason
from engine.models.download.room import Room, full
from engine.types import FileState, JobFile

log = logging.getLogger(__name__)

TRIES = 2
"""Times that a file is fetched whole before wrong content is reported."""
LOOK_EVERY = 16 * 2**20
"""Bytes between two looks at the room on the disk."""


@dataclass(slots=True)
class Shared:
    """What all transfers of a host share."""

    session: Callable[[], aiohttp.ClientSession]
    bandwidth: Bandwidth
    room: Room
    patience: Patience = field(default_factory=Patience)


class Transfer:
    """The fetching of one file; `progress` can be asked for at any time. Can be run again after it has failed."""

    def __init__(
        self, file: PlannedFile, shared: Shared, repo: str | None, token: Callable[[], Awaitable[str | None]]
    ) -> None:
        """`repo` is the Hub's repository that the file is in, if it is in one."""
        self._file = file
        self._repo = repo
        self._shared = shared
        self._token = token
        self._part: PartFile | None = None
        self._total = file.size
        self._shown = present(file)
        self._state = FileState.WAITING
        self._note = self._lasting = ""
        self.placed = False
        """The file lies where it belongs already."""

    @property
    def progress(self) -> JobFile:
        """How far it is; `done` never falls, even when what was there is fetched again."""
        part = self._part
        if part and self._state is not FileState.CHECKING:
            self._shown = max(self._shown, part.size)
        return JobFile(name=self._file.name, state=self._state, done=self._shown, total=self._total, note=self._note)

    async def run(self) -> None:
        """Makes the part whole and right, unless the file itself is there. Raises `FootplateError`."""
        try:
            await self._run()
        except OSError as error:
            raise _disk_error(error, self._file) from error
        finally:
            if self._state is not FileState.DONE:
                self._state, self._note, self._lasting = FileState.WAITING, "", ""

    async def _run(self) -> None:
        self._state = FileState.CHECKING
        self.placed = seems_there(self._file) and await content_matches(Path(self._file.target), self._file)
        if not self.placed:
            self._part = part = PartFile(self._file)
            try:
                await part.open()
                await self._complete(part)
            finally:
                await part.close()
                self._part = None
        self._state, self._note = FileState.DONE, ""
        self._shown = self._total = self._total or self._shown

    async def _complete(self, part: PartFile) -> None:
        for left in reversed(range(TRIES)):
            if part.verified:
                return
            await self._fill(part)
            self._state = FileState.CHECKING
            if await part.finish():
                return
            log.warning("%s has wrong content; %d tries are left", self._file.name, left)
            await part.reset()
            self._lasting = self._note = "Its content was wrong; it is fetched once more."
        raise WrongContent(
            f"What was sent for {self._file.name}, twice, is not the file that was promised (its hash differs).",
            meaning="The server, or something between it and here, changes the file. What came was thrown away.",
            remedy="Try again later, or from another network.",
        )

    async def _fill(self, part: PartFile) -> None:
        """Fetches until the part has its whole size, waiting longer after each attempt that brought nothing."""
        backoff = Backoff(self._shared.patience)
        while part.size != self._total:
            before = part.size
            self._state = FileState.LOADING
            try:
                await self._attempt(part)
            except Interrupted as error:
                stop = error
            else:
                return
            await part.settle()
            if part.size > before:
                backoff.progressed()
            pause = backoff.step(stop.asked_s)
            if pause is None or (stop.refused and backoff.attempts > self._shared.patience.refusals):
                raise self._given_up(stop)
            log.info("%s: %s; next attempt in %.1f s", self._file.name, stop, pause)
            self._state = FileState.RETRYING
            self._note = f"{str(stop)[:1].upper()}{str(stop)[1:]}; trying again in {pause:.0f} s."
            await asyncio.sleep(pause)

    async def _attempt(self, part: PartFile) -> None:
        """One request for what is missing; returns once all is here that there is. Raises `Interrupted`."""
        headers = {"Range": f"bytes={part.size}-"} if part.size else {}
        if headers and self._file.validator:
            headers["If-Range"] = self._file.validator
        session, token = self._shared.session(), await self._token()
        hub = self._repo is not None
        about = f"{self._repo}/{self._file.name}" if hub else self._file.name
        async with opened(session, self._file.url, headers, about=about, hub=hub, token=token) as response:
            if response.status == 416:
                await part.reset()
                raise Interrupted("the server's file is shorter than what is here")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise DownloadFailed(f"{about} is sent compressed, although that was not asked for.")
            await self._take_up(part, response)
            self._note = self._lasting
            try:
                await self._copy(part, response)
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                raise Interrupted(reason(error, response.url.host or "")) from error
        await part.settle()
        if self._total is not None and part.size < self._total:
            raise Interrupted("less was sent than was asked for")

    async def _take_up(self, part: PartFile, response: aiohttp.ClientResponse) -> None:
        """Makes sure that what comes goes on where the part ends; begins anew where it is the whole file again."""
        if response.status == 200:
            if part.size:
                log.info("%s comes from its beginning again", self._file.name)
                await part.reset()
            length = response.content_length
            if not self._file.sha256 and not self._file.git_oid and length is not None:
                self._total = length
            elif length is not None and length != self._total and self._total is not None:
                raise Interrupted(f"{length} bytes are offered instead of {self._total}", refused=True)
            return
        begins = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if begins is None or int(begins[1]) != part.size:
            await part.reset()
            raise Interrupted("the server sent another range than it was asked for", refused=True)

    async def _copy(self, part: PartFile, response: aiohttp.ClientResponse) -> None:
        bandwidth, room = self._shared.bandwidth, self._shared.room
        folder = Path(self._file.target).parent
        unseen = LOOK_EVERY
        expected = None if self._total is None else self._total - part.size
        while True:
            size = bandwidth.block
            block = await (response.content.readany() if size is None else response.content.read(size))
            if not block:
                return
            if expected is not None:
                block = block[:expected]
                expected -= len(block)
            unseen += len(block)
            if unseen >= LOOK_EVERY:
                room.check(folder)
                unseen = 0
            await part.write(block)
            await bandwidth.take(len(block))
            if expected == 0:
                return

    def _given_up(self, stop: Interrupted) -> FootplateError:
        kind = DownloadFailed if stop.refused else HubUnreachable
        return kind(
            f"{self._file.name} does not come: {stop}.",
            meaning="What has been downloaded is kept.",
            remedy="Look at the network and try again: it goes on where it stopped.",
        )


def _disk_error(error: OSError, file: PlannedFile) -> FootplateError:
    folder = Path(file.target).parent
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return full(folder)
    return DownloadFailed(
        f"{file.target} cannot be written: {error.strerror or error}.", remedy="Make the models folder writable."
    )
