"""The file of one saved state: a head, the tokens, and what the KV cache held for them.

Written under another name, synced and renamed, so that a file by its own name is whole; verified when it is read all
the same, because disks and other programs have their ways.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

SUFFIX = ".prefix"
PART = ".part"
"""Ending of a file that is being written; before it stands the writer's process number."""
Tokens = NDArray[np.int32]
State = NDArray[np.uint8]

_MAGIC = b"FPPREFIX"
_LONGEST_HEAD = 4096


class Damaged(Exception):
    """The file is not what it was written as, or belongs to another model."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of itself."""

    version: int
    key: str
    """The model's, see `identity`."""
    tokens: int
    size: int
    """Bytes of the state."""
    checksum: int
    """CRC-32 of the tokens and the state."""


VERSION = 1


def name_for(tokens: Tokens) -> str:
    """The file name for a state of these tokens."""
    return hashlib.sha256(tokens.tobytes()).hexdigest()[:32] + SUFFIX


def write(path: Path, key: str, tokens: Tokens, state: State) -> None:
    """Writes a state so that `path` is either whole or as it was before, even after a crash. Raises `OSError`."""
    body = tokens.astype("<i4").tobytes()
    checksum = zlib.crc32(state.data, zlib.crc32(body))
    head = Head(version=VERSION, key=key, tokens=len(tokens), size=state.nbytes, checksum=checksum)
    encoded = msgspec.msgpack.encode(head)
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(_MAGIC + len(encoded).to_bytes(4, "little") + encoded + body)
            out.write(state.data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
        _sync(path.parent)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def read_head(path: Path, key: str) -> tuple[Head, Tokens]:
    """What the file is about, without reading its state. Raises `Damaged` or `OSError`."""
    with path.open("rb") as source:
        return _head(source, key)


def read(path: Path, key: str) -> tuple[Tokens, State]:
    """The tokens and the state, verified. Raises `Damaged` or `OSError`."""
    with path.open("rb") as source:
        head, tokens = _head(source, key)
        state = np.empty(head.size, np.uint8)
        if source.readinto(state.data) != head.size or source.read(1):
            raise Damaged("its length is wrong")
    if zlib.crc32(state.data, zlib.crc32(tokens.tobytes())) != head.checksum:
        raise Damaged("its checksum is wrong")
    return tokens, state


def _head(source: BinaryIO, key: str) -> tuple[Head, Tokens]:
    start = source.read(len(_MAGIC) + 4)
    length = int.from_bytes(start[len(_MAGIC) :], "little")
    if start[: len(_MAGIC)] != _MAGIC or length > _LONGEST_HEAD:
        raise Damaged("it is no saved state")
    try:
        head = msgspec.msgpack.decode(source.read(length), type=Head)
    except msgspec.MsgspecError as error:
        raise Damaged("its head does not decode") from error
    if head.version != VERSION or head.key != key:
        raise Damaged("it was saved for another model, library or version")
    whole = len(start) + length + head.tokens * 4 + head.size
    if min(head.tokens, head.size) < 1 or os.fstat(source.fileno()).st_size != whole:
        raise Damaged("its length is wrong")
    return head, np.frombuffer(source.read(head.tokens * 4), dtype="<i4")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
