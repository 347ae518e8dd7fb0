"""Copying through the terminal, so that it reaches the clipboard of the machine one sits at."""

from __future__ import annotations

import base64
from collections.abc import Mapping


def osc52(text: str, environ: Mapping[str, str]) -> str:
    """The sequence that puts `text` on the terminal's clipboard; inside tmux also wrapped, to pass through it."""
    sequence = f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\a"
    if "TMUX" in environ:
        return sequence + "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence
