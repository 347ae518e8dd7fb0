"""Which sequence sits in which slot, what of its prompt is already there, and what the next step computes.

Knows no library: the KV cache is behind `Cache`. A slot is a sequence number of llama.cpp's context; all of them share
one pool of cells, so a prefix copied from one slot to another costs no memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from engine.worker.backend import Job


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


@dataclass(slots=True, eq=False)
class Sequence:
    """One job on its way."""

    job: Job
    sample: Callable[[int], int]
    """Draws the next token from a row of logits."""
    tokens: list[int] = field(default_factory=list)
    """The prompt and everything sampled so far."""
    slot: Slot | None = None
    cached: int = 0
    """Prompt tokens reused when it first got a slot."""
    checkpoints: list[int] = field(default_factory=list)
    """Positions at which a step has to end, so that the state can be kept there."""
    announced: bool = False
    """A first `Step` has been given out."""
    alone: bool = False
    """Nothing runs beside it, and nothing saved is put back for it; see `isolation`."""

    @property
    def sampled(self) -> int:
        """Tokens sampled so far."""
        return len(self.tokens) - len(self.job.tokens)


@dataclass(slots=True, eq=False)
class Slot:
    """A sequence number of the context and what the KV cache holds for it: `tokens[:filled]`."""

    index: int
    tokens: list[int] = field(default_factory=list)
    filled: int = 0
    sequence: Sequence | None = None
    level: int = 0
    """The scheduler's level when it was last in use; see `worth`."""

    @property
    def worth(self) -> int:
        """How much what is cached is worth keeping: what computing it costs, less what has happened since it was used.

        Cost and age in one number (GreedyDual): a short prompt gives way before a long one, but not for ever.
        """
        return self.level + self.filled


class Piece(NamedTuple):
    """Tokens of one sequence to be computed in a step: `tokens[start:end]`."""

    sequence: Sequence
    slot: Slot
    start: int
    end: int


class Scheduler:
    """Owns the queue and the slots. First come, first served; every sequence makes progress in every step."""

    def __init__(self, cache: Cache, *, slots: int, cells: int, saved: Saved | None = None) -> None:
        self._cache = cache
        self._saved = saved
        self._cells = cells
        self._level = 0
        self.slots = [Slot(index) for index in range(slots)]
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

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

        At most `budget` tokens in all; `chunk` says how many of a prompt, given whether any sequence decodes. The
        shortest rest goes first and what it leaves goes to the longer ones, so no short prompt waits for a long one.
        """
        pieces, prefilling = [], []
        for sequence in self.running:
            slot = sequence.slot
            assert slot is not None  # noqa: S101 - what runs has a slot
            rest = len(sequence.tokens) - slot.filled
            if rest == 1:
                pieces.append(Piece(sequence, slot, slot.filled, slot.filled + 1))
            else:
                prefilling.append((rest, slot.index, sequence, slot))
        if not prefilling:
            return pieces
        room = min(chunk(bool(pieces)), budget - len(pieces))
        prefilling.sort(key=lambda item: item[:2])
        for position, (rest, _, sequence, slot) in enumerate(prefilling):
            count = min(rest, -(-room // (len(prefilling) - position)))
            count = min([count, *(stop - slot.filled for stop in sequence.checkpoints if stop > slot.filled)])
            if count:
                pieces.append(Piece(sequence, slot, slot.filled, slot.filled + count))
                room -= count
        return pieces

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
        prefixes = [common_prefix(tokens, slot.tokens, slot.filled) for slot in self.slots]
        slot, source = choose(self.slots, prefixes, shares=self._cache.shares)
        keep = self._reusable(source, prefixes[source.index], len(tokens))
        match = self._saved.find(tokens, keep) if self._saved and not sequence.alone else None
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
        sequence.slot = slot
        if self._saved:
            sequence.checkpoints = self._saved.checkpoints(sequence.job.tokens, keep)
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
        if self._saved and self._saved.partial and slot.filled:
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
