"""The part of a file that is there: `NAME.part` beside its target, with a record of what it is a part of.

What is written is hashed in the same go; what an earlier process has written is read again before more is added.
Neither name is a model's to the catalog.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from engine.models.download.plan import PlannedFile

STEP = 32 * 2**20
"""Bytes read at once while checking: so long a pause waits."""


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class Record(Struct, frozen=True, kw_only=True):
    """`NAME.part.json`."""

    identity: str
    """Of the whole file."""
    verified: bool = False
    """The part is the whole file, and its content is right."""


def part_path(target: str) -> Path:
    """Where the part of `target` lies."""
    return Path(f"{target}.part")


def record_path(target: str) -> Path:
    """Where the record of the part lies."""
    return Path(f"{target}.part.json")


def remove_part(target: str) -> None:
    """Removes a part and its record. Raises `OSError`."""
    part_path(target).unlink(missing_ok=True)
    record_path(target).unlink(missing_ok=True)


def remove_empty(folder: Path, root: Path) -> None:
    """Removes a folder below `root` and those above it, as far as they are empty."""
    with suppress(OSError):  # not empty, or gone
        while folder != root and folder.is_relative_to(root):
            folder.rmdir()
            folder = folder.parent


def place(target: str) -> None:
    """Gives a verified part its final name, durably. Raises `OSError`."""
    part_path(target).replace(target)
    record_path(target).unlink(missing_ok=True)
    folder = os.open(Path(target).parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_record(target: str) -> Record | None:
    """The record of a part; `None` where there is none that can be used."""
    try:
        return msgspec.json.decode(record_path(target).read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return None


def seems_there(file: PlannedFile) -> bool:
    """Whether a file of the right size has the final name."""
    target = Path(file.target)
    return file.size is not None and target.is_file() and target.stat().st_size == file.size


def present(file: PlannedFile) -> int:
    """Bytes of a file that are there already, finished or in part, as far as sizes and records tell."""
    if file.size is not None and seems_there(file):
        return file.size
    record = read_record(file.target)
    part = part_path(file.target)
    size = part.stat().st_size if record and record.identity == file.identity and part.is_file() else 0
    return min(size, file.size) if file.size is not None else size


async def content_matches(path: Path, file: PlannedFile) -> bool:
    """Whether the content of a whole file is right, as far as that can be told. Raises `OSError`."""
    digest, wanted = _digest(file)
    if digest is None:
        return True
    with path.open("rb", buffering=0) as source:
        while block := await asyncio.to_thread(source.read, STEP):
            await asyncio.to_thread(digest.update, block)
    return digest.hexdigest() == wanted


def _digest(file: PlannedFile) -> tuple[_Hash | None, str]:
    """A fresh hash, and what it has to come to."""
    if file.sha256:
        return hashlib.sha256(), file.sha256.lower()
    if file.git_oid and file.size is not None:
        return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False), file.git_oid
    return None, ""


class PartFile:
    """A part that is being added to. Its methods raise `OSError`."""

    def __init__(self, file: PlannedFile) -> None:
        self._file = file
        self._descriptor = -1
        self._digest, self._wanted = _digest(file)
        self._writing: asyncio.Task[None] | None = None
        self.size = 0
        """Bytes written."""
        self.verified = False

    async def open(self) -> None:
        """Opens what is there and reads it again, or begins anew where it belongs to another file."""
        await asyncio.to_thread(self._open)
        if self.verified:
            return
        begun, self.size = self.size, 0
        while self.size < begun and self._digest:
            block = await asyncio.to_thread(os.pread, self._descriptor, min(STEP, begun - self.size), self.size)
            if not block:
                break
            await asyncio.to_thread(self._digest.update, block)
            self.size += len(block)
        self.size = begun if not self._digest else self.size

    async def write(self, block: bytes) -> None:
        """Adds a block; returns when the one before it has been written, so that reading and writing overlap."""
        await self.settle()
        self._writing = asyncio.create_task(asyncio.to_thread(self._write, block))

    async def settle(self) -> None:
        """Waits until everything is written; raises what went wrong with it."""
        if self._writing:
            await asyncio.wait([self._writing])
            done, self._writing = self._writing, None
            done.result()

    async def finish(self) -> bool:
        """Whether the content is right; it is then on disk, and noted as verified."""
        await self.settle()
        if self._digest and self._digest.hexdigest() != self._wanted:
            return False
        await asyncio.to_thread(os.fsync, self._descriptor)
        self.verified = True
        await asyncio.to_thread(self._note)
        return True

    async def reset(self) -> None:
        """Throws away what is there."""
        await self.settle()
        await asyncio.to_thread(os.ftruncate, self._descriptor, 0)
        self._digest, self._wanted = _digest(self._file)
        self.size = 0

    async def close(self) -> None:
        """Lets go of the file, after what is being written has been; one that is empty is removed."""
        if self._writing:
            await asyncio.wait([self._writing])
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            if not self.size and not self.verified:
                await asyncio.to_thread(remove_part, self._file.target)

    def _open(self) -> None:
        path = part_path(self._file.target)
        path.parent.mkdir(parents=True, exist_ok=True)
        record = read_record(self._file.target)
        known = record is not None and record.identity == self._file.identity
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags, 0o644)
        except FileNotFoundError:  # a download that was cancelled has just removed the empty folder
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, flags, 0o644)
        self.size = os.fstat(self._descriptor).st_size
        too_long = self._file.size is not None and self.size > self._file.size
        if not known or too_long:
            os.ftruncate(self._descriptor, 0)
            self.size = 0
            self._note()
        whole = self._file.size is None or self.size == self._file.size
        self.verified = bool(record and known and record.verified and whole and not too_long)

    def _note(self) -> None:
        record = Record(identity=self._file.identity, verified=self.verified)
        record_path(self._file.target).write_bytes(msgspec.json.encode(record))

    def _write(self, block: bytes) -> None:
        view = memoryview(block)
        at = self.size
        while view:
            written = os.pwrite(self._descriptor, view, at)
            at += written
            view = view[written:]
        if self._digest:
            self._digest.update(block)
        self.size = at
