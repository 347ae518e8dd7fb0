"""Keeps what people write from becoming control tokens.

A prompt is one string, and a message that says `<|im_end|>` would end itself in it. So the spellings of control tokens
in everything a request brings are swapped for stand-ins before the template is rendered, and after it the text is cut
at the stand-ins: what the template wrote is tokenized with control tokens, a spelling out of a message without. The
spellings are not asked of the model but found: text is suspect when the tokenizer reads it differently with control
tokens and without.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Protocol

from engine.errors import InternalError

MARK = "\U000f0000"
"""Begins a stand-in: this and one more character of the private plane behind it. In a message it stands for itself."""
_FIRST = ord(MARK) + 1
_WINDOW, _LONGEST = 4096, 256
_REMEMBERED = 16384


class Encoder(Protocol):
    """The tokenizer, as far as it is needed here (a `Vocabulary`)."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`, with or without control tokens."""
        ...

    def piece(self, token: int) -> bytes:
        """The bytes of a token; empty for control tokens."""
        ...


class Guard:
    """The stand-ins of one model. Spellings are learned once and text that was found harmless is remembered."""

    def __init__(self, encoder: Encoder, *, bos: str = "") -> None:
        self._encoder = encoder
        self._bos = bos
        self._stand_ins = {MARK: MARK + MARK}
        self._spellings = {MARK + MARK: MARK}
        self._pattern = re.compile(re.escape(MARK))
        self._harmless: dict[bytes, None] = {}

    def protect(self, value: Any) -> Any:
        """`value` (text, or data of any depth) with stand-ins for control tokens in all its text."""
        match value:
            case str():
                return self._protect_text(value)
            case Mapping():
                return {self.protect(key): self.protect(item) for key, item in value.items()}
            case list() | tuple():
                return [self.protect(item) for item in value]
            case _:
                return value

    def tokens(self, rendered: str) -> list[int]:
        """Token ids of a prompt rendered from protected data."""
        found: list[int] = []
        position = 0
        for match in re.finditer(f"{MARK}(.)", rendered, re.DOTALL):
            found += self._encode(rendered[position : match.start()], special=True, first=not found)
            found += self._encode(self._spellings.get(match[0], match[1]), special=False, first=not found)
            position = match.end()
        return found + self._encode(rendered[position:], special=True, first=not found)

    def plain(self, rendered: str) -> str:
        """The prompt as text, stand-ins replaced by what they stand for."""
        return re.sub(f"{MARK}(.)", lambda match: self._spellings.get(match[0], match[1]), rendered, flags=re.DOTALL)

    def _encode(self, text: str, *, special: bool, first: bool) -> list[int]:
        if not text and not first:
            return []
        tokens = self._encoder.encode(text, special=special)
        wanted = special and self._bos and text.startswith(self._bos)
        if not first and not wanted and tokens and not self._encoder.piece(tokens[0]) and self._begins(tokens[0]):
            return tokens[1:]
        return tokens

    def _begins(self, token: int) -> bool:
        """Whether every text begins with `token`: the one for the beginning of a sequence."""
        return self._encoder.encode("a", special=False)[:1] == [token]

    def _protect_text(self, text: str) -> str:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self._harmless:
            return text
        protected = self._replaced(text)
        while spelling := self._unknown_spelling(protected):
            self._learn(spelling)
            protected = self._replaced(text)
        if protected == text:
            self._remember(digest)
        return protected

    def _replaced(self, text: str) -> str:
        return self._pattern.sub(lambda match: self._stand_ins[match[0]], text)

    def _learn(self, spelling: str) -> None:
        if spelling in self._stand_ins or MARK in spelling:
            raise InternalError("The model's tokenizer reads a text differently each time.")
        stand_in = MARK + chr(_FIRST + len(self._stand_ins))
        self._stand_ins[spelling] = stand_in
        self._spellings[stand_in] = spelling
        longest_first = sorted(self._stand_ins, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def _remember(self, digest: bytes) -> None:
        self._harmless[digest] = None
        if len(self._harmless) > _REMEMBERED:
            del self._harmless[next(iter(self._harmless))]

    def _unknown_spelling(self, text: str) -> str | None:
        """A control token's spelling in `text`, the first to end, found by halving."""
        for start in range(0, max(1, len(text)), _WINDOW - _LONGEST):
            window = text[start : start + _WINDOW]
            if self._suspect(window):
                size = bisect_left(range(len(window)), True, key=lambda end: self._suspect(window[:end]))
                begin = bisect_left(range(size), True, key=lambda first: not self._suspect(window[first:size])) - 1
                return window[begin:size]
        return None

    def _suspect(self, text: str) -> bool:
        return self._encoder.encode(text, special=True) != self._encoder.encode(text, special=False)
