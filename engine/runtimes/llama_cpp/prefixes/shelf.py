"""Which states are saved, in memory and on disk, and which of them give way to others."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.runtimes.llama_cpp.prefixes import file
from engine.runtimes.llama_cpp.prefixes.file import Damaged, State, Tokens

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Entry:
    """One saved state; the tokens are kept here, so that looking for a prompt reads no file."""

    tokens: Tokens
    size: int
    """Bytes of the state."""
    state: State | None = None
    """The state, when it is in memory."""
    path: Path | None = None
    """Its file, when it is on disk."""
    used: float = field(default_factory=time.time)
    """Unix time."""


class Shelf:
    """The saved states of one model, used least lately the first to go."""

    def __init__(self, folder: Path | None, key: str, *, disk: int, memory: int) -> None:
        """`folder` (`None`: nothing goes to disk) is private to the model of `key`; `disk` and `memory` are bytes."""
        self._folder = folder if disk else None
        self._key = key
        self._disk, self._memory = disk, memory
        self._entries: list[Entry] = []
        if self._folder is not None:
            self._scan(self._folder)

    @property
    def on_disk(self) -> bool:
        """States may be written to disk."""
        return self._folder is not None

    def matches(self, tokens: Tokens) -> Iterator[tuple[Entry, int]]:
        """The entries that begin as `tokens` does, each with how many tokens they share."""
        for entry in self._entries:
            shared = common(entry.tokens, tokens)
            if shared:
                yield entry, shared

    def covered(self, tokens: Tokens, *, on_disk: bool, partial: bool) -> int:
        """How many leading tokens are saved already; with `on_disk`, where they outlive this process.

        Without `partial`, an entry longer than what it shares is of no use.
        """
        found = (
            shared
            for entry, shared in self.matches(tokens)
            if (entry.path or not on_disk) and (partial or shared == len(entry.tokens))
        )
        return max(found, default=0)

    def unwritten(self) -> list[Entry]:
        """Entries that are in memory alone."""
        return [entry for entry in self._entries if entry.path is None and entry.state is not None]

    def hold(self, tokens: Tokens, state: State) -> Entry | None:
        """Keeps a state in memory; `None` when it is larger than all that may be there."""
        if state.nbytes > self._memory:
            return None
        self._entries = [old for old in self._entries if not (old.state is not None and _same(old.tokens, tokens))]
        entry = Entry(tokens, state.nbytes, state)
        self._entries.append(entry)
        self._trim()
        return entry

    def fetch(self, entry: Entry) -> State | None:
        """The state of an entry, verified; `None` when its file is gone or damaged, and then the entry is, too."""
        entry.used = time.time()
        if entry.state is not None:
            return entry.state
        try:
            if entry.path is None:
                raise FileNotFoundError("it has no file")
            tokens, state = file.read(entry.path, self._key)
            if not _same(tokens, entry.tokens):
                raise Damaged("its tokens have changed")
            os.utime(entry.path)
        except (Damaged, OSError, MemoryError) as error:
            _log.warning("a saved prefix is dropped: %s (%s)", error, entry.path)
            self.drop(entry)
            return None
        return state

    def path(self, tokens: Tokens) -> Path:
        """The file of a state of these tokens."""
        return (self._folder or Path()) / file.name_for(tokens)

    def make_room(self, size: int) -> bool:
        """Removes files until a state of this size fits the budget; false when it never does.

        The host may have taken files away meanwhile: what is gone counts no more.
        """
        if self._folder is None or size > self._disk:
            return False
        try:
            present = set(self._folder.iterdir())
        except OSError:  # nothing was written yet; or nothing can be, which the writer will say
            present = set()
        for entry in tuple(self._entries):
            if entry.path is not None and entry.path not in present:
                self._without_file(entry)
        written = sorted((entry for entry in self._entries if entry.path), key=lambda entry: entry.used)
        total = sum(entry.size for entry in written) + size
        for entry in written:
            if total <= self._disk:
                break
            total -= entry.size
            self._remove_file(entry)
        return True

    def written(self, tokens: Tokens, size: int, path: Path, *, spare: int | None) -> None:
        """Notes a state that is on disk now.

        Files that it serves as well, but for `spare` tokens at their ends, are removed; `None` keeps all.
        """
        for old in tuple(self._entries):
            if _same(old.tokens, tokens):
                old.path = path
            elif spare is not None and old.path and len(old.tokens) - common(old.tokens, tokens) <= spare:
                self._remove_file(old)
        if not any(entry.path == path for entry in self._entries):
            self._entries.append(Entry(tokens, size, path=path))

    def drop(self, entry: Entry) -> None:
        """Forgets an entry, and its file."""
        entry.state = None
        self._remove_file(entry)

    def _scan(self, folder: Path) -> None:
        for path in folder.glob(f"*{file.SUFFIX}"):
            try:
                head, tokens = file.read_head(path, self._key)
                self._entries.append(Entry(tokens, head.size, path=path, used=path.stat().st_mtime))
            except Damaged as error:
                _log.warning("a saved prefix is dropped: %s (%s)", error, path)
                _remove(path)
            except OSError as error:
                _log.warning("a saved prefix cannot be read: %s", error)

    def _trim(self) -> None:
        """Lets go of states in memory until they fit; those on disk as well are there still."""
        held = sorted((entry for entry in self._entries if entry.state is not None), key=lambda entry: entry.used)
        total = sum(entry.size for entry in held)
        for entry in held:
            if total <= self._memory:
                return
            total -= entry.size
            entry.state = None
            if entry.path is None:
                self._entries.remove(entry)

    def _remove_file(self, entry: Entry) -> None:
        if entry.path is not None:
            _remove(entry.path)
        self._without_file(entry)

    def _without_file(self, entry: Entry) -> None:
        entry.path = None
        if entry.state is None and entry in self._entries:
            self._entries.remove(entry)


def common(a: Tokens, b: Tokens) -> int:
    """How many leading tokens two prompts share."""
    length = min(len(a), len(b))
    differs = a[:length] != b[:length]
    return int(np.argmax(differs)) if differs.any() else length


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("a saved prefix cannot be removed: %s", error)


def _same(a: Tokens, b: Tokens) -> bool:
    return bool(np.array_equal(a, b))
