"""Finds the control tokens that an answer is structured by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Encoder(Protocol):
    """The tokenizer, as far as it is needed here (a `Vocabulary`)."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`, with or without control tokens."""
        ...

    def piece(self, token: int) -> bytes:
        """The bytes of a token; empty for control tokens."""
        ...


def visible(encoder: Encoder, words: Iterable[str]) -> dict[int, bytes]:
    """Those of `words` that are control tokens, by their ids: the detokenizer shows these and no others."""
    before = len(encoder.encode("", special=True))
    found = {}
    for word in words:
        tokens = encoder.encode(word, special=True)[before:]
        if len(tokens) == 1 and not encoder.piece(tokens[0]):
            found[tokens[0]] = word.encode()
    return found
