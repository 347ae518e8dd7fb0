"""Tables of Markdown: as wide as their cells, or as the room there is."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

_NARROWEST = 4
"""Cells that a column has at least."""


def table_lines(rows: Sequence[Sequence[Content]], alignments: Sequence[str], width: int) -> list[Content]:
    """The lines of a table whose first row is its head; `alignments` are CSS, as Markdown parsers give them."""
    count = max(map(len, rows), default=0)
    filled = [[*row, *[Content("")] * (count - len(row))] for row in rows]
    widths = column_widths([[cell.cell_length for cell in row] for row in filled], width)
    if sum(widths) + 3 * count - 1 > width:
        return _as_list(filled, width)
    lines: list[Content] = []
    for at, row in enumerate(filled):
        cells = [cell.stylize("bold") if at == 0 else cell for cell in row]
        lines += _row(cells, widths, alignments)
        if at == 0:
            lines.append(Content.styled("┼".join("─" * (cells_ + 2) for cells_ in widths), "$secondary"))
    return lines


def column_widths(lengths: Sequence[Sequence[int]], width: int) -> list[int]:
    """The width of each column, in cells: its longest cell, the widest ones cut down until all fit `width`."""
    widths = [max(_NARROWEST, *column) for column in zip(*lengths, strict=True)]
    room = width - 3 * len(widths) + 1
    while sum(widths) > room and max(widths) > _NARROWEST:
        at = widths.index(max(widths))
        second = max((other for other in widths if other < widths[at]), default=_NARROWEST)
        equals = widths.count(widths[at])
        step = max(1, min(widths[at] - max(second, _NARROWEST), -(-(sum(widths) - room) // equals)))
        widths[at] -= step
    return widths


def _row(cells: Sequence[Content], widths: Sequence[int], alignments: Sequence[str]) -> list[Content]:
    wrapped = [cell.wrap(width) or [Content("")] for cell, width in zip(cells, widths, strict=True)]
    lines: list[Content] = []
    for line in range(max(map(len, wrapped))):
        parts: list[Content] = []
        for column, (parts_, width) in enumerate(zip(wrapped, widths, strict=True)):
            part = parts_[line] if line < len(parts_) else Content("")
            style = alignments[column] if column < len(alignments) else ""
            parts.append(Content(" ") + _aligned(part, width, style) + Content(" "))
        lines.append(Content.styled("│", "$secondary").join(parts))
    return lines


def _aligned(part: Content, width: int, style: str) -> Content:
    missing = max(0, width - part.cell_length)
    left = missing if "right" in style else missing // 2 if "center" in style else 0
    return Content(" " * left) + part + Content(" " * (missing - left))


def _as_list(rows: Sequence[Sequence[Content]], width: int) -> list[Content]:
    """A table with more columns than fit: each row below the other, each cell on lines of its own."""
    lines: list[Content] = []
    for row in rows[1:] or rows:
        for head, cell in zip(rows[0], row, strict=True):
            named = head.stylize("bold") + Content(": ") + cell if rows[1:] else head
            lines += named.wrap(width)
        lines.append(Content.styled("─" * min(width, 12), "$secondary"))
    return lines[:-1]
