"""Drawing the tokens that a step brought to one sequence."""

from __future__ import annotations

from collections.abc import Callable, Container

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.runtimes.llama_cpp._logprobs import logprobs
from engine.runtimes.llama_cpp._sampler import DEAD_END
from engine.runtimes.llama_cpp.slots import Sequence
from engine.worker.backend import Logprob


class Drawn(Struct, frozen=True):
    """What was drawn."""

    tokens: tuple[int, ...]
    """The answer's new tokens; all but the last may be guessed ones."""
    held: int
    """Guessed tokens that were drawn."""
    end: int | None = None
    """What ended the answer behind them: a token of `ends`, or `DEAD_END`."""
    logprobs: tuple[Logprob, ...] = ()


def draw(
    sequence: Sequence,
    row: int,
    draft: tuple[int, ...],
    logits: Callable[[int], NDArray[np.float32]],
    ends: Container[int],
) -> Drawn:
    """Draws from the rows from `row` on, as long as what is drawn is what was guessed (`draft`).

    Each token is drawn as it would be without guesses, and by the same sampler, which thus never sees a token that is
    not taken.
    """
    tokens: list[int] = []
    likely: list[Logprob] = []
    for place in range(len(draft) + 1):
        tell = logprobs(logits(row + place), sequence.job.top_logprobs)
        token = sequence.sample(row + place)
        if token in ends or token == DEAD_END:
            return Drawn(tuple(tokens), place, token, tuple(likely))
        tokens.append(token)
        likely += tell(token)
        if place == len(draft) or token != draft[place]:
            break
    return Drawn(tuple(tokens), len(tokens) - 1, None, tuple(likely))
