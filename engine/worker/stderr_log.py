"""What a child says on stderr: always drained, kept in a rotating file, its last lines at hand for error texts."""

from __future__ import annotations

import logging
import logging.handlers
from collections import deque
from pathlib import Path

MAX_BYTES = 1024 * 1024
BACKUPS = 2
"""Old files kept beside the current one, named with `.1` and `.2`."""
_KEPT_LINES, _TOLD_LINES = 50, 6
_LONGEST_LINE = 8192


class StderrLog:
    """Takes the bytes as they come. The folder is made when needed, the file with the first line."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = logging.handlers.RotatingFileHandler(
            path, maxBytes=max_bytes, backupCount=BACKUPS, encoding="utf-8", delay=True
        )
        self._file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self._rest = b""
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)

    def write(self, data: bytes) -> None:
        """Adds `data`, cut anywhere."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._add(line)

    def tail(self) -> str:
        """The last lines as one line of text, for the `meaning` of an error; empty when nothing was said."""
        return " / ".join(list(self._lines)[-_TOLD_LINES:])

    def close(self) -> None:
        """Writes an unfinished line and closes the file."""
        self._add(self._rest)
        self._rest = b""
        self._file.close()

    def _add(self, line: bytes) -> None:
        text = line[:_LONGEST_LINE].decode("utf-8", "replace")
        text = "".join(char if char.isprintable() else " " for char in text).rstrip()
        if text:
            self._lines.append(text)
            self._file.handle(logging.makeLogRecord({"msg": text}))
