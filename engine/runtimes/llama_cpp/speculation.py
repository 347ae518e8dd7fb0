"""Guesses in a loaded model's steps: which are computed, and what is learnt from it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.runtimes.llama_cpp.guesses import Guesses
from engine.runtimes.llama_cpp.lookup import MOST_DRAFTED, Judgement, worthwhile
from engine.runtimes.llama_cpp.pace import Pace
from engine.runtimes.llama_cpp.slots import Piece
from engine.runtimes.llama_cpp.step_costs import StepCosts
from engine.worker.backend import Job

_FADING = 0.99
"""What a new guess leaves of the model's experience, with which its next sequences begin."""


class Speculation:
    """Decides before each step, by what was measured, how many guessed tokens go into it."""

    def __init__(self, pace: Pace, rows: int) -> None:
        """`rows` is the most guessed tokens of one step; with 0 there are never any."""
        self._pace = pace
        self._rows = rows
        self._costs = StepCosts()
        self._experience = Judgement(fading=_FADING)

    @property
    def able(self) -> bool:
        """Whether there may be any."""
        return self._rows > 0

    def guesses(self, job: Job) -> Guesses | None:
        """What looks ahead in a new sequence; `None` where nothing should.

        Who gives a seed wants the same text again: how wide a step is depends on measured times, and the last bits of
        the logits on that. So guesses have to be asked for there.
        """
        wish = job.most_drafted
        if wish is None:
            wish = 0 if job.sampling.seed is not None else MOST_DRAFTED
        most = min(wish, MOST_DRAFTED, self._rows)
        return Guesses(most, self._experience) if most else None

    def extended(self, pieces: Sequence[Piece], budget: int) -> list[Piece]:
        """The pieces of a step with the guesses that are worth computing; at most `budget` tokens in all."""
        chances = {}
        for index, piece in enumerate(pieces):
            sequence = piece.sequence
            if sequence.guesses and piece.decodes:
                left = sequence.job.max_tokens - sequence.sampled - 1
                if chance := sequence.guesses.chance(sequence.tokens, left):
                    chances[index] = chance
        found = list(pieces)
        if not chances:
            return found
        streams = sum(piece.decodes for piece in pieces)
        width = sum(piece.end - piece.start for piece in pieces)
        room = max(0, min(self._rows, budget - width))
        counts = worthwhile(list(chances.values()), streams, lambda more: self._seconds(streams, width, more), room)
        for index, count in zip(chances, counts, strict=True):
            guesses = pieces[index].sequence.guesses
            if guesses and count:
                found[index] = pieces[index]._replace(draft=guesses.draft(count))
        return found

    def measured(self, pieces: Sequence[Piece], seconds: float) -> None:
        """Notes what a step took; those with prompts in them are `Pace`'s."""
        if all(piece.end - piece.start == 1 for piece in pieces):
            self._costs.note(sum(1 + len(piece.draft) for piece in pieces), seconds)

    def _seconds(self, streams: int, width: int, more: int) -> float:
        if width > streams:
            return self._pace.per_token_s * (width + more)
        return self._costs.seconds(width + more)
