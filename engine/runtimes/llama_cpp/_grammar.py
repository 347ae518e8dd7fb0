"""Holding one sequence to a grammar, at the price of the token that was drawn."""

from __future__ import annotations

import codecs
import ctypes
import re

import numpy as np
from llama_cpp import llama_cpp as lib

from engine.errors import BadInput
from engine.runtimes.llama_cpp._candidates import CANDIDATE, array_of
from engine.runtimes.llama_cpp._model import Model
from engine.runtimes.llama_cpp.grammar_cost import check_cost

MOST_BYTES = 512 * 1024
_DEEPEST = 400
"""Brackets within each other; llama.cpp reads them by recursion."""
_NAMED = re.compile(r"<\[([0-9]{1,9})\]>")


class Grammar:
    """llama.cpp's own grammar sampler, made strict: no control tokens but by name, and no bytes that are not UTF-8.

    llama.cpp takes any byte for the rest of a character that has begun, a closing quote among them; here a token is
    refused whose bytes do not go on as the characters before them began. And it takes a control token for the text
    that it is spelled as; here one may come only where the grammar has it by its id (`<[5]>`).
    """

    def __init__(self, model: Model, text: str) -> None:
        """Raises `BadInput` for a grammar that does not parse."""
        vocabulary = model.vocabulary
        _check_size(text)
        check_cost(text)
        self._vocabulary = vocabulary
        self._free = lib.llama_sampler_free
        self._sampler = lib.llama_sampler_init_grammar(vocabulary.handle, text.encode(), b"root")
        if not self._sampler:
            raise _unreadable(model.complaint())
        named = {int(number) for number in _NAMED.findall(text)}
        self.barred = vocabulary.control - vocabulary.end_of_generation - named
        """Control tokens that can never come."""
        self._spellings: dict[int, list[int]] = {}
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._one = np.zeros(1, CANDIDATE)
        self._one_array = array_of(self._one)

    def __del__(self) -> None:
        if getattr(self, "_sampler", None):
            self._free(self._sampler)

    def allows(self, token: int) -> bool:
        """Whether `token` may come next."""
        if token in self.barred:
            return False
        if token in self._vocabulary.control and token not in self._vocabulary.end_of_generation:
            return not self.within and self._possible(self._sampler, token) and not self._spelled(token)
        return self._possible(self._sampler, token) and self._goes_on(token)

    def _possible(self, sampler: int, token: int) -> bool:
        """Whether llama.cpp would let `token` come."""
        self._one[0] = (token, 1.0, 0.0)
        self._one_array.size, self._one_array.selected = 1, -1
        lib.llama_sampler_apply(sampler, ctypes.byref(self._one_array))
        return bool(self._one["logit"][0] > -np.inf)

    def _spelled(self, token: int) -> bool:
        """Whether a control token could come as text: then it is text that the grammar asks for, and not the token."""
        sampler = lib.llama_sampler_clone(self._sampler)
        try:
            for part in self._spelling(token):
                if not self._possible(sampler, part):
                    return False
                lib.llama_sampler_accept(sampler, part)
            return True
        finally:
            lib.llama_sampler_free(sampler)

    def _spelling(self, token: int) -> list[int]:
        """The tokens of the text that a control token is spelled as."""
        if token not in self._spellings:
            begin = len(self._vocabulary.encode("", special=False))
            spelling = self._vocabulary.spelling(token)
            self._spellings[token] = self._vocabulary.encode(spelling, special=False)[begin:]
        return self._spellings[token]

    @property
    def complete(self) -> bool:
        """Whether the answer may end here."""
        return any(map(self.allows, self._vocabulary.end_of_generation))

    @property
    def within(self) -> bool:
        """Whether a character has begun and is not whole."""
        return bool(self._decoder.getstate()[0])

    def strike_out(self, candidates: lib.llama_token_data_array) -> None:
        """Sets the logits of the candidates that may not come next to minus infinity; half characters are left."""
        lib.llama_sampler_apply(self._sampler, ctypes.byref(candidates))

    def accept(self, token: int) -> None:
        """Notes that `token`, which was allowed, comes next."""
        if token not in self._vocabulary.end_of_generation:
            lib.llama_sampler_accept(self._sampler, token)
            self._decoder.decode(self._vocabulary.piece(token))

    def _goes_on(self, token: int) -> bool:
        if token in self._vocabulary.end_of_generation:
            return not self._decoder.getstate()[0]
        before = self._decoder.getstate()
        try:
            self._decoder.decode(self._vocabulary.piece(token))
            return _has_an_end(self._decoder.getstate()[0])
        except UnicodeDecodeError:
            return False
        finally:
            self._decoder.setstate(before)


def _has_an_end(begun: bytes) -> bool:
    """Whether the beginning of a character can be completed: the decoder takes that of a surrogate for one."""
    if len(begun) < 2:
        return True
    missing = (3 if begun[0] < 0xF0 else 4) - len(begun)
    try:
        (begun + b"\x80" * missing).decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_size(text: str) -> None:
    if len(text) > MOST_BYTES or "\0" in text:
        raise BadInput(
            f"The grammar has {len(text)} characters, or a NUL among them.",
            meaning=f"At most {MOST_BYTES} are read.",
            param="grammar",
        )
    depth = deepest = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise BadInput("The brackets of the grammar are nested too deeply.", param="grammar")


def _unreadable(reason: str) -> BadInput:
    return BadInput(
        f"The grammar cannot be read{f': {reason}' if 'grammar' in reason else ''}.",
        remedy="It has to be GBNF with a rule named root, without left recursion; the worker's log says more.",
        param="grammar",
    )
