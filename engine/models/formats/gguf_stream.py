"""GGUF's primitive values, read from a stream with every length checked against the file before it is believed.

Layout: the GGUF specification in the ggml repository (`docs/gguf.md`), little-endian. A file is never mapped: one that
is still being downloaded, or is cut short while it is read, must be an error and not a SIGBUS.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

MAX_STRING = 8 * 1024 * 1024
"""Bytes of a string that is kept; the longest real ones are chat templates of some 100 kB."""
MAX_KEPT = 32 * 1024 * 1024
"""Bytes of all strings that are kept of one header."""
MAX_STRINGS = 4 * 1024 * 1024
"""Strings in one array; the largest vocabularies have some 300,000."""
MAX_LIST = 4096
"""Numbers of an array that are kept (one per layer); of a longer one only the length is."""
MAX_DEPTH = 3

_WINDOW = 1 << 20
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_STRING, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")
_COUNT = struct.Struct("<I")

Value = str | int | float | bool | tuple[int | float | bool, ...] | range
"""A value of the header. An array that is not kept is a `range` of its length."""


class Malformed(Exception):
    """The bytes are not what the format demands; the text says what is wrong, without the file's name."""


class Cursor:
    """Reads forward through `file`, which has `size` bytes. Raises `Malformed` where it would leave the file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._window = b""
        self._base = 0
        self._at = 0
        self._kept = 0

    @property
    def position(self) -> int:
        """Bytes from the start of the file."""
        return self._base + self._at

    @property
    def left(self) -> int:
        """Bytes to the end of the file."""
        return self._size - self.position

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if self._at + count > len(self._window):
            self._load(count)
        start = self._at
        self._at += count
        return self._window[start : self._at]

    def skip(self, count: int) -> None:
        """Leaves out `count` bytes without reading them."""
        if count > self.left:
            raise Malformed(f"it ends at byte {self._size}, inside a value of {count} bytes")
        if self._at + count <= len(self._window):
            self._at += count
            return
        self._base = self._file.seek(self.position + count)
        self._window, self._at = b"", 0

    def u32(self) -> int:
        """An unsigned 32-bit integer."""
        return int(_COUNT.unpack(self.take(4))[0])

    def u64(self) -> int:
        """An unsigned 64-bit integer."""
        return int(_LENGTH.unpack(self.take(8))[0])

    def string(self, limit: int = MAX_STRING) -> str:
        """A string of at most `limit` bytes; what is not UTF-8 in it is replaced."""
        length = self.u64()
        if length > limit:
            raise Malformed(f"a string claims {length} bytes")
        self._kept += length
        if self._kept > MAX_KEPT:
            raise Malformed("its metadata holds more text than any model's")
        return self.take(length).decode("utf-8", "replace")

    def value(self, kind: int) -> Value:
        """A metadata value of type `kind` as numbered by the specification."""
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self._array(1)
        scalar = self._scalar(kind)
        number: int | float | bool = scalar.unpack(self.take(scalar.size))[0]
        return number

    def _array(self, depth: int) -> Value:
        kind, count = self.u32(), self.u64()
        if kind == _STRING:
            self._skip_strings(count)
        elif kind == _ARRAY:
            if depth == MAX_DEPTH or count > MAX_LIST:
                raise Malformed("an array is nested beyond reason")
            for _ in range(count):
                self._array(depth + 1)
        else:
            scalar = self._scalar(kind)
            if count <= MAX_LIST:
                data = self.take(count * scalar.size)
                return tuple(item for (item,) in scalar.iter_unpack(data))
            self.skip(count * scalar.size)
        return range(count)

    def _skip_strings(self, count: int) -> None:
        if count > MAX_STRINGS:
            raise Malformed(f"an array claims {count} strings")
        unpack, window, at = _LENGTH.unpack_from, self._window, self._at
        for _ in range(count):
            end = at + 8
            if end <= len(window):
                end += unpack(window, at)[0]
            if end > len(window):
                self._at = at
                self.skip(self.u64())
                window, end = self._window, self._at
            at = end
        self._at = at

    def _scalar(self, kind: int) -> struct.Struct:
        found = _SCALARS.get(kind)
        if found is None:
            raise Malformed(f"a value is of the unknown type {kind}")
        return found

    def _load(self, count: int) -> None:
        """Makes the next `count` bytes part of the window."""
        if count > self.left:
            raise Malformed(f"it ends at byte {self._size}, inside a value of {count} bytes")
        rest = self._window[self._at :]
        self._base, self._at = self.position, 0
        self._window = rest + self._file.read(max(_WINDOW, count - len(rest)))
        if len(self._window) < count:
            raise Malformed(f"it ended at byte {self._base + len(self._window)} while it was read")
