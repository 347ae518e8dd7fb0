"""llama.cpp's log lines as Python log records, and the reason of a failure among them."""

from __future__ import annotations

import logging
import re
from collections import deque

from llama_cpp import llama_cpp as lib

_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
"""ggml's levels; its info lines are a page for every load, so they are for debugging here."""
_CONTINUED = 5
_SPEAKER = re.compile(r"^\w+: ")
_EXPECTED = re.compile(r"possible training context overflow")
"""A warning that takes the pool of all sequences for the context of one."""
_NOISE = re.compile(r"error loading model: |failed to load model|exiting due to|failed to create context")


class LibraryLog:
    """Takes the library's log over for the life of this object, and keeps the last complaints."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._complaints: deque[str] = deque(maxlen=20)
        self._line, self._level = "", logging.DEBUG
        self._callback = lib.llama_log_callback(self._take)
        lib.llama_log_set(self._callback, None)

    def start(self) -> None:
        """Forgets the complaints so far."""
        self._complaints.clear()

    def reason(self) -> str:
        """Why the last call failed, in the library's words; empty when it said nothing."""
        lines = [_SPEAKER.sub("", line) for line in self._complaints]
        telling = [line.split("error loading model: ")[-1] for line in lines if "error loading model: " in line]
        telling = telling or [line for line in lines if not _NOISE.search(line)]
        return telling[-1].rstrip(". ") if telling else ""

    def everything(self) -> str:
        """All complaints since `start`, for telling one kind of failure from another."""
        return "\n".join(self._complaints)

    def _take(self, level: int, text: bytes | None, _user_data: object) -> None:
        if level != _CONTINUED:
            self._flush()
            self._level = _LEVELS.get(level, logging.DEBUG)
        self._line += (text or b"").decode("utf-8", "replace")
        if self._line.endswith("\n"):
            self._flush()

    def _flush(self) -> None:
        line, self._line = self._line.strip(), ""
        if not line:
            return
        level = logging.DEBUG if _EXPECTED.search(line) else self._level
        if level >= logging.WARNING:
            self._complaints.append(line)
        self._logger.log(level, "%s", line)
