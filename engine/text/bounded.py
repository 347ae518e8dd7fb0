"""Bounds for code that a model file brings along: time by an interval timer, memory by a limit on address space."""

from __future__ import annotations

import resource
import signal
import types
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_AGAIN_S = 0.1
_LAST_RESORT = 2.0
"""Times the bound, in the process's own computing time, after which the process is ended."""

T = TypeVar("T")


class TimeUp(Exception):
    """The bounded code ran too long."""


def bounded(work: Callable[[], T], *, seconds: float, memory: int) -> T:
    """What `work` returns; `TimeUp` after `seconds`, `MemoryError` when it wants more than `memory` further bytes.

    For the main thread only, as signals are. The timer fires again and again, in case `TimeUp` is swallowed. Python
    hears of it between two of its own instructions; one that takes for ever, such as comparing lists that hold each
    other many times over, has the system end the process (SIGVTALRM). Memory is limited where the system tells the size
    of the address space (Linux).
    """
    bounds = _Bounds(seconds)
    try:
        try:
            bounds.set(memory)
            return work()
        finally:
            bounds.lift()
    finally:
        bounds.lift()  # the timer may have fired on the way into the first call


class _Bounds:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._armed = False
        self._handler = signal.getsignal(signal.SIGALRM)
        self._limits = resource.getrlimit(resource.RLIMIT_AS)

    def set(self, memory: int) -> None:
        self._armed = True
        signal.signal(signal.SIGALRM, self._expire)
        signal.setitimer(signal.ITIMER_REAL, self._seconds, _AGAIN_S)
        signal.setitimer(signal.ITIMER_VIRTUAL, self._seconds * _LAST_RESORT)
        _limit_memory(memory, self._limits)

    def lift(self) -> None:
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGALRM, self._handler)
        resource.setrlimit(resource.RLIMIT_AS, self._limits)

    def _expire(self, _signal: int, _frame: types.FrameType | None) -> None:
        if self._armed:
            raise TimeUp(f"more than {self._seconds:g} s")


def _limit_memory(more: int, limits: tuple[int, int]) -> None:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return
    wanted = int(statm.read_text().split()[0]) * resource.getpagesize() + more
    smallest = min(limit for limit in (wanted, *limits) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (smallest, limits[1]))
