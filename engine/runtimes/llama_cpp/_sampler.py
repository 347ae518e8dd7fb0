"""How the next token of one sequence is drawn from its logits."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import numpy as np
from llama_cpp import llama_cpp as lib

from engine.runtimes.llama_cpp._candidates import Candidates
from engine.runtimes.llama_cpp._chain import Chain
from engine.runtimes.llama_cpp._grammar import Grammar
from engine.runtimes.llama_cpp._model import Model
from engine.text.sampling import GENERAL, merged
from engine.types import Sampling
from engine.worker.backend import Job

COMPLETE = -1
"""Drawn where a grammar leaves no token but the end, which must not be drawn itself: the answer is over."""
DEAD_END = -2
"""Drawn where a grammar leaves no token at all, because the vocabulary has none that goes on."""
_TRIES = 256
"""Tokens that are drawn again because their bytes do not go on a character, at most."""

Draw = Callable[[int], int]
"""Draws a token from a row of the last step's logits, which may be changed by it."""


def sampler(model: Model, job: Job, defaults: Sampling) -> Draw:
    """The way `job` wants its tokens drawn; what it leaves open is the model's (`defaults`), then llama.cpp's own.

    Raises `BadInput` for a grammar that does not parse.
    """
    wish = merged(job.sampling, defaults, GENERAL)
    if job.grammar:
        return _Held(model, Chain(model, job, wish), Grammar(model, job.grammar))
    if _plain(wish):
        return _Greedy(model, sorted(model.vocabulary.end_of_generation) if job.ignore_eos else [])
    return _Free(model, Chain(model, job, wish))


def _plain(wish: Sampling) -> bool:
    """Whether the most likely token is taken as the model has it."""
    penalized = wish.repeat_penalty != 1.0 or wish.presence_penalty or wish.frequency_penalty or wish.dry_multiplier
    return (wish.temperature or 0.0) <= 0.0 and not penalized and not wish.logit_bias


class _Greedy:
    """The most likely token. Straight from the logits: a chain would first copy the whole vocabulary."""

    def __init__(self, model: Model, never: Sequence[int]) -> None:
        self._model = model
        self._never = np.array(never, dtype=np.int64)

    def __call__(self, row: int) -> int:
        logits = self._model.logits(row)
        if len(self._never):
            logits[self._never] = -np.inf
        return int(logits.argmax())


class _Free:
    """By a chain."""

    def __init__(self, model: Model, chain: Chain) -> None:
        self._context = model.context
        self._chain = chain
        self._sample = lib.llama_sampler_sample

    def __call__(self, row: int) -> int:
        token: int = self._sample(self._chain.handle, self._context, row)
        return token


class _Held:
    """By a chain and a grammar.

    The grammar is asked about the token that the chain chose; only where it refuses that one is it applied to the
    whole vocabulary, and the chain chooses among what is left.
    """

    def __init__(self, model: Model, chain: Chain, grammar: Grammar) -> None:
        self._model = model
        self._chain = chain
        self._grammar = grammar
        self._barred = np.array(sorted(grammar.barred), np.int64)
        self._candidates = Candidates(model.vocabulary.size)

    def __call__(self, row: int) -> int:
        logits = self._model.logits(row)
        token, _ = self._choose(logits, held=False)
        if not self._grammar.allows(token):
            token = self._choose_allowed(logits)
        if token >= 0:
            self._grammar.accept(token)
            self._chain.accept(token)
        return token

    def _choose_allowed(self, logits: np.ndarray[tuple[int], np.dtype[np.float32]]) -> int:
        logits[self._barred] = -np.inf
        continuing = self._model.vocabulary.continuing
        logits[~continuing if self._grammar.within else continuing] = -np.inf
        for _ in range(_TRIES):
            token, logit = self._choose(logits, held=True)
            if logit == -np.inf:
                break
            if self._grammar.allows(token):
                return token
            logits[token] = -np.inf
        return COMPLETE if self._grammar.complete else DEAD_END

    def _choose(self, logits: np.ndarray[tuple[int], np.dtype[np.float32]], *, held: bool) -> tuple[int, float]:
        candidates = self._candidates.fill(logits)
        if held:
            self._grammar.strike_out(candidates)
            if not self._candidates.any():
                return DEAD_END, -np.inf
        lib.llama_sampler_apply(self._chain.handle, ctypes.byref(candidates))
        return self._candidates.chosen()
