"""A loaded model's tokenizer."""

from __future__ import annotations

import ctypes
from functools import cached_property

import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

from engine.worker.backend import Infill


class LlamaVocabulary:
    """Text to token ids and back (`engine.worker.backend.Vocabulary`)."""

    def __init__(self, vocab: int) -> None:
        self.handle = self._vocab = vocab
        self.size: int = lib.llama_vocab_n_tokens(vocab)
        self.end_of_generation = frozenset(token for token in range(self.size) if lib.llama_vocab_is_eog(vocab, token))
        """Tokens that end an answer."""
        self._bos: int = lib.llama_vocab_bos(vocab)
        self._wants_bos = bool(lib.llama_vocab_get_add_bos(vocab)) and self._bos >= 0
        self._pieces: dict[int, bytes] = {}
        self._buffer = ctypes.create_string_buffer(64)

    @cached_property
    def control(self) -> frozenset[int]:
        """Tokens that steer and are no text."""
        return frozenset(token for token in range(self.size) if lib.llama_vocab_is_control(self._vocab, token))

    @cached_property
    def continuing(self) -> NDArray[np.bool_]:
        """For each token whether it begins in the middle of a character."""
        return np.fromiter(((self.piece(token)[:1] or b" ")[0] & 0xC0 == 0x80 for token in range(self.size)), np.bool_)

    @property
    def infill(self) -> Infill | None:
        """The control tokens for filling a gap; `None` when the vocabulary lacks one of them."""
        found = [
            find(self._vocab) for find in (lib.llama_vocab_fim_pre, lib.llama_vocab_fim_suf, lib.llama_vocab_fim_mid)
        ]
        return Infill(prefix=found[0], suffix=found[1], middle=found[2]) if min(found) >= 0 else None

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`; see the protocol."""
        found = self._cut(text, ends=False, special=special)
        if self._wants_bos and found[:1] != [self._bos]:
            found.insert(0, self._bos)
        return found

    def whole(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text` with all that the model wants before and after a whole text."""
        return self._cut(text, ends=True, special=special)

    def pair(self, query: str, document: str) -> list[int]:
        """Token ids of two texts, ended and separated as cross-encoders read them."""
        vocab = self._vocab
        separator = lib.llama_vocab_sep(vocab) if lib.llama_vocab_get_add_sep(vocab) else -1
        end = -1
        if lib.llama_vocab_get_add_eos(vocab):
            end = lib.llama_vocab_eos(vocab)
            end = lib.llama_vocab_sep(vocab) if end < 0 else end
        first = [self._bos if self._wants_bos else -1, *self._cut(query, ends=False, special=False), end, separator]
        # Where no token ends a text, the one that separates two ends the second, too (BERT's way).
        second = [*self._cut(document, ends=False, special=False), separator if end < 0 else end]
        return [token for token in (*first, *second) if token >= 0]

    def piece(self, token: int) -> bytes:
        """The bytes `token` stands for; empty for control tokens."""
        found = self._pieces.get(token)
        if found is None:
            found = self._pieces[token] = self._render(token)
        return found

    def spelling(self, token: int) -> str:
        """How the vocabulary writes `token`, control tokens too; empty for no token (-1)."""
        return str(lib.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace")) if token >= 0 else ""

    def _cut(self, text: str, *, ends: bool, special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 4
        tokens = (lib.llama_token * room)()
        count = lib.llama_tokenize(self._vocab, data, len(data), tokens, room, ends, special)
        if count < 0:
            tokens = (lib.llama_token * -count)()
            count = lib.llama_tokenize(self._vocab, data, len(data), tokens, -count, ends, special)
        found: list[int] = tokens[:count]
        return found

    def _render(self, token: int) -> bytes:
        length = lib.llama_token_to_piece(self._vocab, token, self._buffer, len(self._buffer), 0, False)
        if length < 0:
            self._buffer = ctypes.create_string_buffer(-length)
            length = lib.llama_token_to_piece(self._vocab, token, self._buffer, len(self._buffer), 0, False)
        return self._buffer.raw[:length]
