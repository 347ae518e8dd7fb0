"""Room on the disk, looked at before a download and while it runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import DiskFull

RESERVE = 256_000_000
"""Bytes left free on a large disk; on a small one, a hundredth of it."""


class Room:
    """What the running downloads still need, by disk."""

    def __init__(self) -> None:
        self._needs: list[tuple[int, Callable[[], int]]] = []

    @contextmanager
    def claim(self, folder: Path, needs: Callable[[], int]) -> Iterator[None]:
        """Keeps room for the bytes that `needs` says at any time. Raises `DiskFull` when there is not enough."""
        here = _existing(folder)
        device = here.stat().st_dev
        others = sum(need() for disk, need in self._needs if disk == device)
        free = _free(here)
        if needs() > max(0, free - others):
            promised = f", of which other downloads need {_gb(others)}" if others else ""
            raise DiskFull(
                f"{_gb(needs())} are needed in {folder}, and {_gb(free)} can be used there{promised}.",
                remedy="Make room, or put the models folder onto another disk; then try again.",
            )
        entry = (device, needs)
        self._needs.append(entry)
        try:
            yield
        finally:
            self._needs.remove(entry)

    def check(self, folder: Path) -> None:
        """Raises `DiskFull` when something else has filled the disk meanwhile."""
        if _free(folder) <= 0:
            raise full(folder)


def full(folder: Path) -> DiskFull:
    """The disk of `folder` is full."""
    return DiskFull(
        f"The disk that holds {folder} is full.",
        meaning="What has been downloaded is kept.",
        remedy="Make room, and try again: it goes on where it stopped.",
    )


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _free(folder: Path) -> int:
    """Bytes that may be used; less than nothing when the reserve is broken into."""
    usage = shutil.disk_usage(folder)
    return usage.free - min(RESERVE, usage.total // 100)


def _gb(size: int) -> str:
    return f"{max(0, size) / 1e9:.2f} GB" if size >= 10_000_000 else f"{max(0, size) / 1e6:.2f} MB"
