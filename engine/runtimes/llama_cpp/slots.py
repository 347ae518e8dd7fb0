"""Sequences, the slots they sit in, and the pieces of them that a step computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.runtimes.llama_cpp.guesses import Guesses
from engine.worker.backend import AdapterSet, Job


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
    guesses: Guesses | None = None
    """What looks ahead in it; `None` where nothing does."""

    @property
    def rest(self) -> int:
        """Tokens that are not computed yet; 1 where the next one can be drawn."""
        return len(self.tokens) - (self.slot.filled if self.slot else 0)

    @property
    def adapters(self) -> AdapterSet:
        """The adapters that it is computed with; only sequences of the same ones share steps and prefixes."""
        return self.job.adapters

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
    adapters: AdapterSet = ()
    """What `tokens` were computed with."""
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
    """Tokens of one sequence to be computed in a step: `tokens[start:end]`, and what is guessed to follow them."""

    sequence: Sequence
    slot: Slot
    start: int
    end: int
    draft: tuple[int, ...] = ()

    @property
    def decodes(self) -> bool:
        """The last token alone is computed, and the next one drawn."""
        return self.start + 1 == self.end == len(self.sequence.tokens)
