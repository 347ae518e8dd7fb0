"""Cuts Markdown into pieces at the ends of blocks, so that text which grows makes only its last piece new.

A piece is Markdown by itself. A long list is cut between its items, a long block of code between lines.
"""

from __future__ import annotations

from dataclasses import dataclass

from markdown_it.token import Token

from tui.markdown.parser import block_parser

PIECE_CHARACTERS = 1_200
"""A piece is closed at the end of the block that makes it so long."""
CODE_LINES = 30
"""Longer blocks of code are cut after so many lines."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text."""

    text: str
    gap: bool = True
    """Whether an empty line follows."""


@dataclass(slots=True)
class Cutter:
    """Cuts a text that grows; what it returns as closed never changes again."""

    _rest: str = ""
    """The text after the last cut; where that fell into a block of code, with the line that opens it."""

    def grow(self, text: str) -> tuple[list[Piece], Piece | None]:
        """Adds `text`; the pieces that are closed by it, and the open one."""
        self._rest += text
        closed: list[Piece] = []
        while (cut := _first_cut(self._rest)) is not None:
            piece, self._rest = cut
            if piece.text.strip():
                closed.append(piece)
        return closed, Piece(self._rest) if self._rest.strip() else None


def _first_cut(text: str) -> tuple[Piece, str] | None:
    """The first piece of `text` that is closed, and what is left; none when all of it is open."""
    if len(text) <= PIECE_CHARACTERS:
        return None
    tokens = block_parser().parse(text)
    blocks = [token for token in tokens if token.level == 0 and token.map is not None and token.nesting >= 0]
    lines = text.splitlines(keepends=True)
    for at, block in enumerate(blocks):
        first, end = block.map or [0, 0]
        last = at == len(blocks) - 1
        if block.type == "fence" and end - first > CODE_LINES + 2:
            if first > 0:
                return Piece("".join(lines[:first])), "".join(lines[first:])
            return Piece("".join(lines[: CODE_LINES + 1]), gap=False), lines[0] + "".join(lines[CODE_LINES + 1 :])
        is_list = block.type in ("bullet_list_open", "ordered_list_open")
        if is_list and (line := _item_end(tokens, block, lines)) is not None:
            gap = not lines[line - 1].strip() or not lines[line].strip()
            return Piece("".join(lines[:line]), gap=gap), "".join(lines[line:])
        if not last and sum(map(len, lines[:end])) > PIECE_CHARACTERS:
            return Piece("".join(lines[:end])), "".join(lines[end:])
    return None


def _item_end(tokens: list[Token], block: Token, lines: list[str]) -> int | None:
    """The line after which a list can be cut: the first end of an item, not the last one, that is far enough."""
    start = tokens.index(block)
    ends: list[int] = []
    for token in tokens[start + 1 :]:
        if token.level == 0:
            break
        if token.type == "list_item_open" and token.level == 1 and token.map is not None:
            ends.append(token.map[1])
    return next((end for end in ends[:-1] if sum(map(len, lines[:end])) > PIECE_CHARACTERS), None)
