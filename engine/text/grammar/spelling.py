"""Characters and texts as GBNF has them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

Ranges = list[tuple[int, int]]


def literal(text: str) -> str:
    """`text` itself."""
    return '"' + "".join(_escaped(char, '"\\') for char in text) + '"'


def char_set(ranges: Ranges, *, negated: bool = False) -> str:
    """One character of (or, `negated`, outside) the ranges of code points, ends included."""
    parts = [
        _escaped(chr(low), "[]^-\\") + ("" if low == high else "-" + _escaped(chr(high), "[]^-\\"))
        for low, high in ranges
    ]
    return f"[{'^' if negated else ''}{''.join(parts)}]"


class Spelling(Struct, frozen=True, kw_only=True):
    """How the characters of a text are written between its quotes."""

    escapes: Mapping[str, str]
    """Characters that are written otherwise, and how."""
    forbidden: Ranges
    """Characters that never stand for themselves."""

    @property
    def plain(self) -> str:
        """One character that stands for itself, as GBNF."""
        return char_set(self.forbidden, negated=True)

    def of(self, char: str) -> str | None:
        """How a character is written; `None` when it cannot be."""
        written = self.escapes.get(char)
        if written is None and any(low <= ord(char) <= high for low, high in self.forbidden):
            return None
        return written or char


def _escaped(char: str, special: str) -> str:
    code = ord(char)
    if char in special:
        return "\\" + char if char in '"\\[]' else f"\\x{code:02X}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02X}"
    if 0xD800 <= code < 0xE000 or code in (0x2028, 0x2029):
        return f"\\u{code:04X}"
    return char
