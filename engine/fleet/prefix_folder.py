"""The folder of saved prefix states: the host says how much may lie there, and removes what is too much.

Workers write and read the files (`engine.runtimes.llama_cpp.prefixes`), each in a folder of its model; all of them
together are held to the budget here, the file unused for longest going first. A worker that misses a file computes.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from engine.settings import CacheSettings

log = logging.getLogger(__name__)

PRUNE_EVERY_S = 60.0
SHARE_OF_DISK = 0.1
"""Of the free disk, states counted as free, that they may fill where the settings do not say."""
MOST_DISK = 20_000_000_000
SHARE_OF_MEMORY = 1 / 32
"""Of the free memory, for each worker, where the settings do not say."""
MOST_MEMORY = 512_000_000
_GB = 1_000_000_000


class PrefixFolder:
    """Owner of the budget. Its methods block, except for `watch`."""

    def __init__(self, folder: Path, settings: Callable[[], CacheSettings]) -> None:
        self._folder = folder
        self._settings = settings

    def options(self) -> dict[str, Any]:
        """What a worker is told: where to save and how much, as load options."""
        settings = self._settings()
        memory = int(min(psutil.virtual_memory().available * SHARE_OF_MEMORY, MOST_MEMORY))
        if settings.prefix_memory_gb is not None:
            memory = int(settings.prefix_memory_gb * _GB)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            budget = self.budget()
        except OSError as error:
            log.warning("no prompts are saved in %s: %s", self._folder, error)
            budget = 0
        return {
            "prefix_folder": str(self._folder),
            "prefix_disk": budget,
            "prefix_memory": memory,
            "prefix_least_s": settings.prefix_least_s,
        }

    def budget(self) -> int:
        """Bytes that all saved states may take. Raises `OSError` when the folder's disk cannot be looked at."""
        wish = self._settings().prefix_disk_gb
        if wish is not None:
            return int(wish * _GB)
        room = shutil.disk_usage(self._folder).free + sum(size for _, size, _ in self._states())
        return int(min(room * SHARE_OF_DISK, MOST_DISK))

    def prune(self) -> None:
        """Removes the states that are over the budget, and what a writer that died has left."""
        try:
            if not self._folder.is_dir():
                return
            self._remove_leftovers()
            total, budget = 0, self.budget()
            for _, size, path in sorted(self._states(), reverse=True):
                total += size
                if total > budget:
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("the saved prompts in %s cannot be tidied: %s", self._folder, error)

    async def watch(self) -> None:
        """Prunes now, and again and again while workers may write."""
        while True:
            await asyncio.to_thread(self.prune)
            await asyncio.sleep(PRUNE_EVERY_S)

    def _states(self) -> list[tuple[float, int, Path]]:
        """Time of the last use, size and place of every state."""
        found = []
        for path in self._folder.glob("*/*.prefix"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_mtime, status.st_size, path))
        return found

    def _remove_leftovers(self) -> None:
        for path in self._folder.glob("*/*.part"):
            writer = path.name.split(".")[-2]
            if not (writer.isdecimal() and psutil.pid_exists(int(writer))):
                path.unlink(missing_ok=True)
