"""Which sequence sits in which slot, what of its prompt is already there, and what the next step computes.

Knows no library: the KV cache is behind `Cache`. A slot is a sequence number of llama.cpp's context; all of them share
one pool of cells, so a prefix copied from one slot to another costs no memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from engine.runtimes.llama_cpp.slots import Piece, Sequence, Slot
from engine.worker.backend import AdapterSet


class Cache(Protocol):
    """The effects on the KV cache."""

    shares: bool
    """Whether a part of a sequence can be copied to another one (not so for recurrent states)."""

    def truncate(self, slot: int, length: int) -> bool:
        """Forgets everything from position `length` on; false when that is not possible, and nothing was done."""
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Makes the first `length` positions of `source` also those of the empty `target`."""
        ...

    def continues(self, slot: int, length: int) -> bool:
        """Whether computing can go on at position `length` (a sliding window may have dropped what it needs)."""
        ...


class Match(Protocol):
    """A saved state that begins as a prompt does, at hand and verified."""

    @property
    def shared(self) -> int:
        """Tokens of the prompt that it spares; never all of them."""
        ...

    @property
    def cells(self) -> int:
        """Tokens of the state, which need room while it is put back."""
        ...

    def restore(self, slot: int) -> bool:
        """Puts the shared tokens into an empty slot; false when that failed, and it is still empty."""
        ...


class Saved(Protocol):
    """States that were saved outside the KV cache."""

    partial: bool
    """Whether a state can be cut, so that it serves prompts that share a part of it."""

    def find(self, tokens: list[int], beyond: int) -> Match | None:
        """The state that spares most of a prompt, of which `beyond` tokens are at hand; `None` when none pays."""
        ...

    def keep(self, slot: int, tokens: list[int], *, beside_streams: bool) -> None:
        """Copies what a slot holds, which are the states of `tokens`, if that is worth it."""
        ...

    def checkpoints(self, prompt: tuple[int, ...], at_hand: int) -> list[int]:
        """Positions of a prompt, ascending, at which its state has to be kept because it cannot be cut later."""
        ...


class Scheduler:
    """Owns the queue and the slots. First come, first served; every sequence gets on in each step of its turn."""

    def __init__(
        self, cache: Cache, *, slots: int, cells: int, saved: Saved | None = None, usual: AdapterSet = ()
    ) -> None:
        """`usual` are the adapters with which states are saved; others share what is in live slots only."""
        self._cache = cache
        self._saved = saved
        self._usual = usual
        self._served: list[AdapterSet] = []
        self._cells = cells
        self._level = 0
        self.slots = [Slot(index) for index in range(slots)]
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    @property
    def usual_slots(self) -> list[Slot]:
        """The slots whose states may be saved."""
        return [slot for slot in self.slots if slot.adapters == self._usual]

    def admit(self) -> None:
        """Gives free slots to waiting sequences, as long as their prompts fit beside what runs."""
        while self.waiting and len(self.running) < len(self.slots):
            sequence = self.waiting[0]
            alone = sequence.alone or any(each.alone for each in self.running)
            if self.running and (alone or self._promised() + len(sequence.tokens) >= self._cells):
                return
            self.waiting.popleft()
            self._place(sequence)

    def compose(self, budget: int, chunk: Callable[[bool], int]) -> list[Piece]:
        """The next step: one token of every decoding sequence, and some prompt tokens of the others.

        All of these have the same adapters; those with others have their turn in other steps.
        At most `budget` tokens in all; `chunk` says how many of a prompt, given whether any sequence decodes. The
        shortest rest goes first and what it leaves goes to the longer ones, so no short prompt waits for a long one.
        """
        pieces, prefilling = [], []
        turn = self._turn()
        streams = any(sequence.rest == 1 for sequence in self.running)
        for sequence in self.running:
            if sequence.adapters != turn:
                continue
            slot = sequence.slot
            assert slot is not None  # noqa: S101 - what runs has a slot
            if (rest := sequence.rest) == 1:
                pieces.append(Piece(sequence, slot, slot.filled, slot.filled + 1))
            else:
                prefilling.append((rest, slot.index, sequence, slot))
        if not prefilling:
            return pieces
        room = min(chunk(streams), budget - len(pieces))
        prefilling.sort(key=lambda item: item[:2])
        for position, (rest, _, sequence, slot) in enumerate(prefilling):
            count = min(rest, -(-room // (len(prefilling) - position)))
            count = min([count, *(stop - slot.filled for stop in sequence.checkpoints if stop > slot.filled)])
            if count:
                pieces.append(Piece(sequence, slot, slot.filled, slot.filled + count))
                room -= count
        return pieces

    def served(self, adapters: AdapterSet) -> None:
        """Notes that a step with these adapters was computed: others have their turn before them."""
        wanted = {sequence.adapters for sequence in self.running}
        self._served = [*(each for each in self._served if each in wanted and each != adapters), adapters]

    def _turn(self) -> AdapterSet:
        """The adapters of the next step: of those that any sequence waits for, the ones that waited longest."""
        wanted = dict.fromkeys(sequence.adapters for sequence in self.running)
        waiting = [adapters for adapters in wanted if adapters not in self._served]
        return waiting[0] if waiting else next(each for each in self._served if each in wanted)

    def make_room(self) -> Sequence | None:
        """Frees cells: those of the idle slot worth least, else those of the sequence that came last.

        A sequence put out this way waits at the head of the queue and is computed again when there is room. One that
        runs alone cannot gain from that: it is released and returned, to be failed.
        """
        if self._evict():
            return None
        last = self.running[-1]
        alone = len(self.running) == 1
        slot = self.release(last)
        if slot is not None:
            self._give_up(slot)
        if alone:
            return last
        self.waiting.appendleft(last)
        return None

    def release(self, sequence: Sequence) -> Slot | None:
        """Takes a sequence off its slot, which keeps what is cached; a waiting one is taken from the queue."""
        slot, sequence.slot = sequence.slot, None
        if slot is None:
            self.waiting.remove(sequence)
            return None
        slot.sequence, slot.level = None, self._level
        self.running.remove(sequence)
        return slot

    def _promised(self) -> int:
        """Cells that the running sequences have, or will have once their prompts are computed."""
        return sum(len(sequence.tokens) for sequence in self.running)

    def _place(self, sequence: Sequence) -> None:
        tokens = sequence.tokens
        prefixes = [
            common_prefix(tokens, slot.tokens, slot.filled) if slot.adapters == sequence.adapters else 0
            for slot in self.slots
        ]
        saved = self._saved if sequence.adapters == self._usual else None
        slot, source = choose(self.slots, prefixes, shares=self._cache.shares)
        keep = self._reusable(source, prefixes[source.index], len(tokens))
        match = saved.find(tokens, keep) if saved and not sequence.alone else None
        if prefixes[slot.index] * 2 <= slot.filled:  # what it held is given up: everything else has aged by its worth
            self._level = max(self._level, slot.worth)
            self._save(slot)
        if match and self._restore(match, slot, source):
            keep = match.shared
        elif source is not slot:
            self.forget(slot)
            if keep:
                self._cache.copy(source.index, slot.index, keep)
        else:
            keep = min(keep, slot.filled)
            self._cache.truncate(slot.index, keep)
        slot.tokens, slot.filled, slot.sequence = tokens, keep, sequence
        slot.adapters = sequence.adapters
        sequence.slot = slot
        if saved:
            sequence.checkpoints = saved.checkpoints(sequence.job.tokens, keep)
        if not sequence.announced:
            sequence.cached = keep
        self.running.append(sequence)

    def _reusable(self, source: Slot, shared: int, prompt: int) -> int:
        """How many of the `shared` tokens a live slot can give; never the prompt's last, whose logits are needed."""
        keep = min(shared, prompt - 1)
        cut = keep < source.filled and not self._cache.shares
        return keep if keep and not cut and self._cache.continues(source.index, keep) else 0

    def _restore(self, match: Match, slot: Slot, source: Slot) -> bool:
        """Puts a saved state into a slot, making room for it; `source` stays, in case that fails."""
        stays = sum(each.filled for each in self.slots if each.sequence or (each is source and each is not slot))
        if stays + match.cells > self._cells:
            return False
        self.forget(slot)
        while sum(each.filled for each in self.slots) + match.cells > self._cells:
            self._evict(but=source)
        return match.restore(slot.index)

    def _evict(self, but: Slot | None = None) -> bool:
        """Gives up the idle slot worth least; false when there is none."""
        idle = [slot for slot in self.slots if slot.sequence is None and slot.filled and slot is not but]
        if idle:
            self._give_up(min(idle, key=lambda slot: slot.worth))
        return bool(idle)

    def _give_up(self, slot: Slot) -> None:
        self._save(slot)
        self.forget(slot)

    def _save(self, slot: Slot) -> None:
        if self._saved and self._saved.partial and slot.filled and slot.adapters == self._usual:
            self._saved.keep(slot.index, slot.tokens[: slot.filled], beside_streams=bool(self.running))

    def forget(self, slot: Slot) -> None:
        """Drops what a slot has cached, as after a failed step."""
        self._cache.truncate(slot.index, 0)
        slot.tokens, slot.filled = [], 0


def choose(slots: list[Slot], prefixes: list[int], *, shares: bool) -> tuple[Slot, Slot]:
    """The free slot to take and the slot to take the prefix from (the same one, or one to copy from).

    The slot with the longest common prefix is taken over where the new prompt goes on from most of it. Where it shares
    only a beginning with a longer conversation, that one is left alone: the beginning is copied to the slot that is
    worth least.
    """
    free = [slot for slot in slots if slot.sequence is None]
    among = slots if shares else free
    source = max(among, key=lambda slot: (prefixes[slot.index], -slot.worth))
    cheapest = min(free, key=lambda slot: (slot.filled > 0, slot.worth))
    goes_on = source.sequence is None and prefixes[source.index] * 2 > source.filled
    if goes_on:
        return source, source
    return cheapest, source if shares else cheapest


def common_prefix(tokens: list[int], cached: list[int], filled: int) -> int:
    """How many leading tokens `tokens` and `cached[:filled]` share."""
    low, high = 0, min(len(tokens), filled)
    if tokens[:high] == cached[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if tokens[low:middle] == cached[low:middle]:
            low = middle
        else:
            high = middle
    return low
