"""The catalog: which models there are on this machine, and which of them answers by default."""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from engine.builtin import GUIDE
from engine.bus import Bus
from engine.errors import ModelNotFound
from engine.events import ActiveModelChanged, ModelsChanged
from engine.models.scan import describe, files, stem
from engine.runtimes.spec import RuntimeSpec
from engine.types import ModelEntry

log = logging.getLogger(__name__)

BUILTIN = "guide"
RESCAN_EVERY_S = 10.0
_NAMED = 20
"""Models that an error names at most."""

_Seen = dict[Path, tuple[tuple[int, int], ModelEntry | None]]
"""Size and time of each file, and what it turned out to be."""


class Catalog:
    """The models. Files are looked at in a thread, and read again only when their size or time has changed."""

    def __init__(
        self, bus: Bus, specs: Sequence[RuntimeSpec], folders: Callable[[], Sequence[Path]], active: str
    ) -> None:
        """`active` is the name of the model that answers where none is named."""
        self._bus = bus
        self._specs = specs
        self._folders = folders
        self._active = active
        self._seen: _Seen = {}
        self._entries: dict[str, ModelEntry] = {}
        self._scanning = asyncio.Lock()
        self.scanned = asyncio.Event()
        """Set once the folders have been looked at for the first time."""

    @property
    def models(self) -> tuple[ModelEntry, ...]:
        """Every model, the built-in one first, then by name; those that cannot be used carry their error."""
        return tuple(self._entries.values())

    @property
    def active(self) -> str:
        """Id of the model that answers where none is named: the chosen one, or the built-in one when that is gone."""
        try:
            return self.find(self._active).id
        except ModelNotFound:
            return BUILTIN

    def select(self, name: str) -> ModelEntry:
        """Makes another model the one that answers. Raises `ModelNotFound`."""
        entry = self.find(name)
        if entry.id != self._active:
            self._active = entry.id
            self._bus.publish(ActiveModelChanged(model=entry.id))
        return entry

    def find(self, name: str) -> ModelEntry:
        """The model of that name; upper and lower case, and the file's ending, may differ.

        Raises `ModelNotFound`, which names what exists, the most similar names first.
        """
        found = self._entries.get(name)
        if found:
            return found
        wanted = stem(Path(name)).lower() if name else ""
        for model_id, entry in self._entries.items():
            if wanted and wanted in {model_id.lower(), Path(model_id).name.lower()}:
                return entry
        usable = [entry.id for entry in self._entries.values() if entry.error is None]
        near = difflib.get_close_matches(name, usable, n=len(usable) or 1, cutoff=0.0)
        more = f", and {len(near) - _NAMED} more" if len(near) > _NAMED else ""
        raise ModelNotFound(
            f"There is no model {name!r}.",
            remedy=f"There are: {', '.join(near[:_NAMED])}{more}." if near else "No model is installed.",
            param="model",
        )

    async def resolve(self, name: str) -> ModelEntry:
        """As `find`, but a miss looks at the folders again first: the file may be new."""
        try:
            return self.find(name)
        except ModelNotFound:
            await self.scan()
            return self.find(name)

    async def scan(self) -> None:
        """Looks what there is now, and tells it when something has changed."""
        async with self._scanning:
            seen, entries = await asyncio.to_thread(_scan, self._folders(), self._specs, self._seen)
            self._seen = seen
            if entries != self._entries:
                self._entries = entries
                log.info("%d models", len(entries))
                self._bus.publish(ModelsChanged(models=self.models))
            self.scanned.set()

    async def watch(self) -> None:
        """Scans again and again."""
        while True:
            await self.scan()
            await asyncio.sleep(RESCAN_EVERY_S)


def _scan(folders: Sequence[Path], specs: Sequence[RuntimeSpec], before: _Seen) -> tuple[_Seen, dict[str, ModelEntry]]:
    seen: _Seen = {}
    for path, model_id in _names(folders).items():
        try:
            stat = path.stat()
        except OSError:
            continue
        state = (stat.st_size, stat.st_mtime_ns)
        known, entry = before.get(path, (None, None))
        if known != state or (entry and entry.error):
            entry = describe(path, model_id, specs)
        seen[path] = (state, entry and replace(entry, id=model_id, builtin=path == GUIDE))
    return seen, {entry.id: entry for _, entry in seen.values() if entry}


def _names(folders: Sequence[Path]) -> dict[Path, str]:
    """Every model file with the id it goes by: its stem, or where several share that, its path below its folder."""
    found = {path: folder for folder in folders for path in files(folder)}
    shared = Counter(stem(path) for path in found)
    names = {GUIDE: BUILTIN}
    taken = {BUILTIN}
    found.pop(GUIDE, None)
    for path, folder in sorted(found.items(), key=lambda item: (stem(item[0]).lower(), item[0])):
        below = path.relative_to(folder)
        choices = (
            stem(path),
            str(below.with_name(stem(path))),
            f"{folder.name}/{below.with_name(stem(path))}",
            str(path),
        )
        name = next(name for name in choices[shared[stem(path)] > 1 :] if name not in taken)
        taken.add(name)
        names[path] = name
    return names
