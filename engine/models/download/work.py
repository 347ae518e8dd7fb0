"""A download as a job: its files beside each other, and all put into place together at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from engine.errors import DownloadFailed
from engine.models.download.part import place, present, remove_empty, remove_part
from engine.models.download.plan import DownloadSpec, check_targets
from engine.models.download.transfer import Shared, Transfer
from engine.work import Progress

log = logging.getLogger(__name__)

Found = Callable[[frozenset[str]], Awaitable[tuple[str, ...]]]
"""Looks for models anew; the names of those whose files are among the given ones."""


class DownloadWork:
    """One download; satisfies `engine.work.Work`."""

    def __init__(
        self,
        spec: DownloadSpec,
        shared: Shared,
        files_at_once: Callable[[], int],
        token: Callable[[], Awaitable[str | None]],
        found: Found,
    ) -> None:
        self._spec = spec
        self._shared = shared
        self._files_at_once = files_at_once
        self._found = found
        self._transfers = [Transfer(file, shared, spec.repo, token) for file in spec.files]

    @property
    def claims(self) -> frozenset[str]:
        """The paths it writes."""
        return frozenset(file.target for file in self._spec.files)

    def progress(self) -> Progress:
        """How far every file is."""
        files = tuple(transfer.progress for transfer in self._transfers)
        totals = [file.total for file in files]
        return Progress(
            done=sum(file.done for file in files),
            total=None if None in totals else sum(total for total in totals if total is not None),
            files=files,
            note=next((file.note for file in files if file.note), ""),
        )

    async def run(self) -> tuple[str, ...]:
        """Fetches, verifies and places every file. Raises `FootplateError`."""
        check_targets(self._spec)
        with self._shared.room.claim(self._folder, self._missing):
            await self._fetch_all()
        try:
            await asyncio.to_thread(self._place)
        except OSError as error:
            raise DownloadFailed(
                f"A finished file cannot be put into place: {error}.", remedy="Make the models folder writable."
            ) from error
        return await self._found(self.claims)

    async def discard(self, keep: frozenset[str]) -> None:
        """Removes the parts, except for those of the targets in `keep`."""

        def remove() -> None:
            for target in self.claims - keep:
                try:
                    remove_part(target)
                except OSError as error:
                    log.warning("the part of %s cannot be removed: %s", target, error)
                remove_empty(Path(target).parent, Path(self._spec.root))

        await asyncio.to_thread(remove)

    @property
    def _folder(self) -> Path:
        return Path(self._spec.files[0].target).parent

    def _missing(self) -> int:
        return sum(max(0, (file.size or 0) - present(file)) for file in self._spec.files)

    async def _fetch_all(self) -> None:
        """Runs the transfers, a few at once; the first that fails stops the others."""
        free = asyncio.Semaphore(max(1, self._files_at_once()))

        async def one(transfer: Transfer) -> None:
            async with free:
                await transfer.run()

        tasks = [asyncio.create_task(one(transfer)) for transfer in self._transfers]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _place(self) -> None:
        """Renames the parts, the first one last: a split model is not seen before it is complete."""
        for transfer, file in reversed(list(zip(self._transfers, self._spec.files, strict=True))):
            if not transfer.placed:
                place(file.target)
                transfer.placed = True
