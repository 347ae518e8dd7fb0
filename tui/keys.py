"""Alt keys as plain terminals send them: Escape, then the key. Textual reads some of these as other things."""

from __future__ import annotations

from enum import Enum


class _Alt(Enum):
    """Shaped like Textual's own key names, which its parser expects."""

    ENTER = "alt+enter"
    ONE = "alt+1"
    TWO = "alt+2"
    THREE = "alt+3"
    FOUR = "alt+4"
    FIVE = "alt+5"
    SIX = "alt+6"
    SEVEN = "alt+7"
    EIGHT = "alt+8"


def teach_alt_keys() -> None:
    """Makes Alt+Enter differ from Enter, and Alt+1 … Alt+8 from the symbols that some keyboards of macOS type.

    Textual has no public way to say so: it drops the Alt of Escape-Return, which would send a half-written message.
    """
    from textual._ansi_sequences import ANSI_SEQUENCES_KEYS  # noqa: PLC0415 - only the real terminal needs it

    sequences = {"\x1b\r": _Alt.ENTER} | {f"\x1b{digit}": key for digit, key in enumerate(list(_Alt)[1:], start=1)}
    for sequence, key in sequences.items():
        ANSI_SEQUENCES_KEYS[sequence] = (key,)  # type: ignore[index]
