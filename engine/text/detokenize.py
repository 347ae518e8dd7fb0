"""Token ids to text, one step at a time."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Mapping


class Detokenizer:
    """Joins the bytes of tokens into text; a character cut by a token boundary is held until it is whole.

    Bytes that are no UTF-8 become U+FFFD, an incomplete character only when the stream is closed.
    """

    def __init__(self, piece: Callable[[int], bytes], visible: Mapping[int, bytes] | None = None) -> None:
        """`visible`: control tokens that are to be read all the same, with their spellings."""
        self._piece = piece
        self._visible = visible or {}
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, tokens: Iterable[int]) -> str:
        """The characters that are complete with `tokens`."""
        return self._decoder.decode(b"".join(self._visible.get(token) or self._piece(token) for token in tokens))

    def close(self) -> str:
        """What was held back, at the end of the stream."""
        return self._decoder.decode(b"", final=True)
