"""The ways in which a scripted worker fails, for real."""

from __future__ import annotations

import os
import resource
import signal
import time

_BLOCK = 16 * 1024 * 1024


def stall() -> None:
    """Never comes back."""
    while True:
        time.sleep(3600)


def deaf() -> None:
    """Never comes back, and ignores SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stall()


def crash() -> None:
    """Aborts as a C library does; leaves no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.abort()


def garbage(frames: int) -> None:
    """Writes what is no frame to the descriptor `frames`."""
    os.write(frames, b"\xff" * 64)


def memory() -> None:
    """Takes memory, and touches it, until there is none: a `MemoryError` under a limit, the system's killer without."""
    taken = []
    while True:
        taken.append(bytearray(os.urandom(1) * _BLOCK))
