"""A program in a pseudo-terminal, with the screen that a user would see."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import pyte


class Terminal:
    """Runs `argv` on a terminal of `rows` × `columns` cells; use as a context manager, which ends the program."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], *, rows: int = 24, columns: int = 80) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
            start_new_session=True,
            # Only with a terminal of its own does the program get the hang-up that a dropped SSH connection brings.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,  # noqa: PLW1509
        )
        os.close(slave)
        self.received = 0
        """Bytes the program has written."""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self._master >= 0:
            os.close(self._master)

    @property
    def text(self) -> str:
        """What is on the screen, row by row."""
        return "\n".join(self._screen.display)

    def send(self, keys: str) -> None:
        """Types `keys`, control characters included."""
        os.write(self._master, keys.encode())

    def hang_up(self) -> None:
        """Closes the terminal under the program, as a dropped SSH connection does."""
        os.close(self._master)
        self._master = -1

    def wait_for(self, *texts: str, seconds: float = 30) -> None:
        """Reads until every one of `texts` is on the screen; fails with the screen otherwise."""
        self._read_until(lambda: all(text in self.text for text in texts), f"{texts} on the screen", seconds)

    def wait_gone(self, text: str, seconds: float = 30) -> None:
        """Reads until `text` is no longer on the screen."""
        self._read_until(lambda: text not in self.text, f"screen without {text!r}", seconds)

    def wait_exit(self, seconds: float = 30) -> int:
        """Reads until the program has ended, and returns its exit code."""
        self._read_until(lambda: self.process.poll() is not None, "end of the program", seconds)
        return self.process.wait()

    def _read_until(self, reached: Callable[[], bool], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} within {seconds} s:\n{self.text}")
            ready, _, _ = select.select([self._master], [], [], 0.1)
            if not ready:
                continue
            try:
                data = os.read(self._master, 65536)
            except OSError:  # Linux reports the program's end as an input error
                data = b""
            self.received += len(data)
            self._stream.feed(data)
