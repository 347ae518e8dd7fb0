"""A tokenizer without a model: runs of 1 to 4 bytes, which cut characters as real ones do, and control tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable

CONTROL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
"""Control tokens; their ids are their places here."""
IM_START, IM_END = 0, 1
_BASES = (0, 0, 2**8, 2**8 + 2**16, 2**8 + 2**16 + 2**24)


class ScriptedVocabulary:
    """The id of a run of bytes is its number among all runs, shorter ones first, after the control tokens.

    These are `CONTROL` and whatever `further` ones are named; their ids are their places.
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        self._further = tuple(dict.fromkeys(word for word in further if word and word not in CONTROL))
        self._control = (*CONTROL, *self._further)

    size = len(CONTROL) + _BASES[4] + 2**32

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`; with `special`, the spellings of control tokens become those tokens."""
        return self._encode(text, self._control if special else ())

    def answer(self, text: str) -> list[int]:
        """Token ids of what a model says: further control tokens are control tokens, those of ChatML are spelled."""
        return self._encode(text, self._further)

    def _encode(self, text: str, control: tuple[str, ...]) -> list[int]:
        longest_first = sorted(control, key=len, reverse=True)
        parts = re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text) if control else [text]
        tokens: list[int] = []
        for part in parts:
            if part in control:
                tokens.append(self._control.index(part))
            else:
                tokens += (len(self._control) + run for run in _runs(part.encode("utf-8", "replace")))
        return tokens

    def piece(self, token: int) -> bytes:
        """The bytes of a token; empty for control tokens."""
        number = token - len(self._control)
        if number < 0:
            return b""
        size = next(size for size in (4, 3, 2, 1) if number >= _BASES[size])
        return (number - _BASES[size]).to_bytes(size, "big")

    def spelling(self, token: int) -> str:
        """The spelling of a token."""
        return CONTROL[token] if token < len(CONTROL) else self.piece(token).decode("utf-8", "replace")

    def text(self, tokens: Iterable[int]) -> str:
        """The text of tokens that are no control tokens."""
        return b"".join(map(self.piece, tokens)).decode("utf-8", "replace")


def _runs(data: bytes) -> list[int]:
    """Cuts `data` into runs whose length the first byte decides, and after every line; their numbers.

    So equal beginnings give equal tokens, and an answer the same ones when it comes back in a conversation.
    """
    tokens = []
    position = 0
    while position < len(data):
        run = data[position : position + 1 + data[position] % 4]
        run = run[: run.find(b"\n") + 1] or run
        tokens.append(_BASES[len(run)] + int.from_bytes(run, "big"))
        position += len(run)
    return tokens
