"""Saved prefixes of a loaded model: when a state is saved, and when it is put back."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from engine.models.formats.gguf import split_files
from engine.runtimes.llama_cpp import library
from engine.runtimes.llama_cpp._model import Model
from engine.runtimes.llama_cpp.options import Options
from engine.runtimes.llama_cpp.pace import Pace
from engine.runtimes.llama_cpp.prefixes.file import State, Tokens
from engine.runtimes.llama_cpp.prefixes.identity import model_key
from engine.runtimes.llama_cpp.prefixes.rates import Rates
from engine.runtimes.llama_cpp.prefixes.shelf import Entry, Shelf
from engine.runtimes.llama_cpp.prefixes.writer import Task, Writer
from engine.runtimes.llama_cpp.slots import Slot

_log = logging.getLogger(__name__)

ASK_AGAIN_S = 0.05
"""Pause of housekeeping while a write is under way."""
LONGEST_COPY_S = 0.1
"""Longest copy of a state that running streams are made to wait for."""
GROWTH = 0.25
"""At rest, a longer state of the same conversation is written when it has grown by this share, so that the bytes
written stay in keeping with the conversation's length; the rest of it is written when the model is unloaded."""
TAIL = 16
"""Tokens before a prompt's end that a checkpoint leaves out: where the answer begins, replayed prompts differ first."""
_SPARE = 4
"""A saved state is removed when another one serves its prompt but for so many times the least prefill worth saving."""
_AFTER_FAILURE_S = 60.0
"""Pause of writing after the disk refused a write."""


class Match(Struct, frozen=True, eq=False):
    """A verified state that begins as a prompt does (`scheduler.Match`)."""

    owner: SavedPrefixes
    entry: Entry
    state: State
    shared: int
    cells: int
    read_s: float

    def restore(self, slot: int) -> bool:
        """Puts the state into an empty slot; false when it does not go in, and the slot is empty then."""
        return self.owner.restore(slot, self)


def open_prefixes(model: Model, file: Path, options: Options, pace: Pace) -> SavedPrefixes | None:
    """The saved prefixes of the model in `file`, as far as the options allow any."""
    if not (options.prefix_memory or (options.prefix_folder and options.prefix_disk)):
        return None
    name = f"{library.DISTRIBUTION} {library.version()}"
    try:
        key = model_key(split_files(file), options, library=name, scaled=model.scaled())
    except OSError as error:
        _log.warning("no prefix is saved: %s", error)
        return None
    folder = Path(options.prefix_folder) / key if options.prefix_folder else None
    shelf = Shelf(folder, key, disk=options.prefix_disk, memory=options.prefix_memory)
    return SavedPrefixes(model, pace, shelf, Writer(key), least_s=options.prefix_least_s)


class SavedPrefixes:
    """Saves what slots hold and finds it again (`scheduler.Saved`)."""

    def __init__(self, model: Model, pace: Pace, shelf: Shelf, writer: Writer, *, least_s: float) -> None:
        """`least_s` is the prefill, in seconds, below which a prefix is not worth saving."""
        self._model, self._pace = model, pace
        self._shelf, self._writer = shelf, writer
        self._least_s = least_s
        self._rates = Rates()
        self._quiet_until = 0.0
        self._begun: set[Path] = set()
        """Files that were written once: what had to give way to others is not written again and again."""
        self.partial = model.partial

    def find(self, tokens: list[int], beyond: int) -> Match | None:
        """The state that spares most of a prompt, which has `beyond` leading tokens at hand; `None` if none pays."""
        wanted = np.array(tokens[:-1], np.int32)
        while True:
            best, gain = None, 0.0
            for entry, shared in self._shelf.matches(wanted):
                fits = len(entry.tokens) <= self._model.cells and (self.partial or shared == len(entry.tokens))
                if shared <= beyond or not fits:
                    continue
                compute_s = self._compute_s(shared - beyond)
                from_disk = entry.state is None
                saved = compute_s - self._rates.restore_s(entry.size, from_disk=from_disk)
                if saved > gain and self._rates.pays(entry.size, compute_s, from_disk=from_disk):
                    best, gain = (entry, shared, from_disk), saved
            if best is None:
                return None
            entry, shared, from_disk = best
            started = time.perf_counter()
            state = self._shelf.fetch(entry)
            if state is not None:
                read_s = time.perf_counter() - started if from_disk else 0.0
                return Match(self, entry, state, shared, len(entry.tokens), read_s)

    def restore(self, slot: int, match: Match) -> bool:
        """See `Match.restore`. A state that the library refuses is dropped."""
        started = time.perf_counter()
        taken = self._model.put_state(slot, match.state)
        if taken and match.shared < match.cells:
            taken = self._model.truncate(slot, match.shared)
        if not taken:
            _log.warning("a saved prefix of %d tokens does not go in: %s", match.cells, self._model.complaint())
            self._model.truncate(slot, 0)
            self._shelf.drop(match.entry)
            return False
        seconds = match.read_s + time.perf_counter() - started
        self._rates.restored(match.entry.size, seconds, from_disk=match.read_s > 0)
        _log.info("restored %d of %d prompt tokens in %.3f s", match.shared, match.cells, seconds)
        return True

    def checkpoints(self, prompt: tuple[int, ...], at_hand: int) -> list[int]:
        """Where a prompt that is computed has its state kept, because that could not be cut later.

        Shortly before its end, for the next turn; and where an earlier prompt left it, for the others that begin so.
        """
        if self.partial:
            return []
        end = len(prompt) - TAIL
        tokens = np.array(prompt[: max(end, 0)], np.int32)
        left = max((shared for _, shared in self._shelf.matches(tokens)), default=0)
        found, last = [], at_hand
        for position in (left, end):
            if position > last and self._compute_s(position - last) >= self._least_s:
                found.append(position)
                last = position
        return found

    def keep(self, slot: int, tokens: list[int], *, beside_streams: bool) -> None:
        """Copies what a slot holds to memory, if that is worth it; it goes to disk when nothing runs."""
        held = np.array(tokens, np.int32)
        if self._unsaved_s(held, on_disk=False) < self._least_s:
            return
        size = self._model.state_size(slot)
        copy_s = self._rates.restore_s(size, from_disk=False)
        if self._worth_restoring(held, size) and not (beside_streams and copy_s > LONGEST_COPY_S):
            state = self._model.take_state(slot, size)
            if state is not None:
                self._shelf.hold(held, state)

    def rest(self, slots: Sequence[Slot]) -> float | None:
        """Writes the next state to disk; seconds until it wants to be called again, `None` when nothing is left."""
        self._collect()
        if self._writer.busy:
            return ASK_AGAIN_S
        return ASK_AGAIN_S if self._write_next(slots, growth=GROWTH) else None

    def close(self, slots: Sequence[Slot], seconds: float) -> None:
        """Writes what is not on disk yet, the greatest gain per byte first, and as much as `seconds` allow."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._collect(left)
            if self._writer.busy or not self._write_next(slots, within_s=deadline - time.monotonic()):
                return

    def _write_next(self, slots: Sequence[Slot], *, growth: float = 0.0, within_s: float = float("inf")) -> bool:
        """Begins to write the state that is worth most, if there is any."""
        if not self._shelf.on_disk or time.monotonic() < self._quiet_until:
            return False
        found = [
            (gain / size, tokens, size, source)
            for gain, tokens, size, source in self._candidates(slots, growth)
            if self._worth_restoring(tokens, size) and self._rates.write_s(size) < within_s
        ]
        for _, tokens, size, source in sorted(found, key=lambda each: each[0], reverse=True):
            path = self._shelf.path(tokens)
            if path in self._begun or not self._shelf.make_room(size):
                continue
            state = self._model.take_state(source.index, size) if isinstance(source, Slot) else source
            if state is not None:
                self._begun.add(path)
                self._writer.begin(Task(path, tokens, state))
                return True
        return False

    def _candidates(self, slots: Sequence[Slot], growth: float) -> list[tuple[float, Tokens, int, State | Slot]]:
        """What is not on disk: the seconds it would spare, its tokens, its bytes, and where it is."""
        found: list[tuple[float, Tokens, int, State | Slot]] = []
        for entry in self._shelf.unwritten():
            gain = self._unsaved_s(entry.tokens, on_disk=True)
            if gain >= self._least_s and entry.state is not None:
                found.append((gain, entry.tokens, entry.size, entry.state))
        for slot in slots if self.partial else ():
            tokens = np.array(slot.tokens[: slot.filled], np.int32)
            gain = self._unsaved_s(tokens, on_disk=True)
            if gain >= max(self._least_s, growth * self._compute_s(len(tokens))) and len(tokens):
                found.append((gain, tokens, self._model.state_size(slot.index), slot))
        return found

    def _collect(self, timeout_s: float = 0.0) -> None:
        done = self._writer.collect(timeout_s)
        if done is None:
            return
        if done.error is not None:
            _log.warning("a prefix cannot be saved in %s: %s", done.task.path.parent, done.error)
            self._quiet_until = time.monotonic() + _AFTER_FAILURE_S
            self._begun.discard(done.task.path)
            return
        size = done.task.state.nbytes
        self._rates.wrote(size, done.seconds)
        spare = int(_SPARE * self._least_s / self._pace.per_token_s) if self.partial else None
        self._shelf.written(done.task.tokens, size, done.task.path, spare=spare)

    def _compute_s(self, tokens: int) -> float:
        return tokens * self._pace.per_token_s

    def _unsaved_s(self, tokens: Tokens, *, on_disk: bool) -> float:
        """Seconds of prefill that nothing saved would spare."""
        covered = self._shelf.covered(tokens, on_disk=on_disk, partial=self.partial)
        return self._compute_s(len(tokens) - covered)

    def _worth_restoring(self, tokens: Tokens, size: int) -> bool:
        return self._rates.pays(size, self._compute_s(len(tokens)), from_disk=self._shelf.on_disk)
