"""A chain of llama.cpp's samplers for what a request wishes."""

from __future__ import annotations

import ctypes
import secrets

import numpy as np
from llama_cpp import llama_cpp as lib

from engine.runtimes.llama_cpp._model import Model
from engine.types import Sampling
from engine.worker.backend import Job

RANDOM_SEED = 0xFFFFFFFF
"""The seed that llama.cpp reads as "take any"."""
_MIROSTAT_M = 100
"""Tokens from which Mirostat 1 estimates the distribution (the paper's)."""


class Chain:
    """llama.cpp's samplers in its own order, freed with this object."""

    def __init__(self, model: Model, job: Job, wish: Sampling) -> None:
        """`wish` has no field left open."""
        self.handle = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        self._free = lib.llama_sampler_free
        self._model = model
        self._job = job
        self._bias(wish)
        self._penalties(wish)
        self._dry(wish)
        self._choice(wish)

    def __del__(self) -> None:
        self._free(self.handle)

    def accept(self, token: int) -> None:
        """Notes that `token` was taken."""
        lib.llama_sampler_accept(self.handle, token)

    def _add(self, part: int) -> None:
        lib.llama_sampler_chain_add(self.handle, part)

    def _bias(self, wish: Sampling) -> None:
        size = self._model.vocabulary.size
        biases = {token: value for token, value in (wish.logit_bias or {}).items() if token < size}
        if self._job.ignore_eos:
            biases |= dict.fromkeys(self._model.vocabulary.end_of_generation, -np.inf)
        if biases:
            array = (lib.llama_logit_bias * len(biases))(*(lib.llama_logit_bias(*pair) for pair in biases.items()))
            self._add(lib.llama_sampler_init_logit_bias(size, len(biases), array))

    def _penalties(self, wish: Sampling) -> None:
        size, job = self._model.vocabulary.size, self._job
        repeat, presence, frequency = wish.repeat_penalty, wish.presence_penalty, wish.frequency_penalty
        window = self._window(wish.repeat_last_n)
        if repeat != 1.0 and window:
            part = lib.llama_sampler_init_penalties(size, window, repeat, 0.0, 0.0)
            self._add(_shown(part, job.tokens[-window:]))
        if presence or frequency:  # OpenAI's: of the answer alone, all of it
            self._add(lib.llama_sampler_init_penalties(size, job.max_tokens, 1.0, frequency or 0.0, presence or 0.0))

    def _dry(self, wish: Sampling) -> None:
        window = self._window(wish.dry_penalty_last_n)
        if not wish.dry_multiplier or not window:
            return
        breakers = [text.encode() for text in wish.dry_sequence_breakers or ()]
        array = (ctypes.c_char_p * len(breakers))(*breakers)
        vocab, allowed = self._model.vocabulary.handle, wish.dry_allowed_length
        part = lib.llama_sampler_init_dry(
            vocab, wish.dry_multiplier, wish.dry_base, allowed, window, array, len(breakers)
        )
        self._add(_shown(part, self._job.tokens[-window:]))

    def _choice(self, wish: Sampling) -> None:
        temperature, seed = wish.temperature or 0.0, seed_of(wish.seed)
        if temperature <= 0.0:
            self._add(lib.llama_sampler_init_greedy())
            return
        if wish.mirostat:
            self._add(lib.llama_sampler_init_temp(temperature))
            tau, eta = wish.mirostat_tau, wish.mirostat_eta
            size = self._model.vocabulary.size
            if wish.mirostat == 1:
                self._add(lib.llama_sampler_init_mirostat(size, seed, tau, eta, _MIROSTAT_M))
            else:
                self._add(lib.llama_sampler_init_mirostat_v2(seed, tau, eta))
            return
        self._add(lib.llama_sampler_init_top_k(wish.top_k or 0))
        if wish.typical_p is not None and wish.typical_p < 1.0:
            self._add(lib.llama_sampler_init_typical(wish.typical_p, 1))
        self._add(lib.llama_sampler_init_top_p(1.0 if wish.top_p is None else wish.top_p, 1))
        self._add(lib.llama_sampler_init_min_p(wish.min_p or 0.0, 1))
        if wish.xtc_probability:
            self._add(lib.llama_sampler_init_xtc(wish.xtc_probability, wish.xtc_threshold, 1, seed))
        self._add(lib.llama_sampler_init_temp(temperature))
        self._add(lib.llama_sampler_init_dist(seed))

    def _window(self, wish: int | None) -> int:
        whole = len(self._job.tokens) + self._job.max_tokens
        return whole if wish is None or wish < 0 else min(wish, whole)


def seed_of(wish: int | None) -> int:
    """llama.cpp's 32 bits for a seed of any size; any, for none."""
    return secrets.randbelow(RANDOM_SEED) if wish is None else wish % RANDOM_SEED


def _shown(part: int, seen: tuple[int, ...]) -> int:
    """`part`, which has been shown the tokens before the answer."""
    for token in seen:
        lib.llama_sampler_accept(part, token)
    return part
