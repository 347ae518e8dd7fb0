"""Renders a piece of Markdown into lines of styled text, none wider than the given number of cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode
from textual.content import Content, Span

from tui.markdown.parser import parser
from tui.markdown.tables import table_lines

_BULLETS = ("•", "◦", "▪")
_HEADINGS = {"h1": "bold underline", "h2": "bold"}
_INLINE = {"em_open": "italic", "strong_open": "bold", "s_open": "strike"}
_NARROWEST = 8
"""Cells; deeper nesting than leaves these is not indented further."""


def render(text: str, width: int) -> list[Content]:
    """The lines of the Markdown in `text`, at most `width` cells wide."""
    return _blocks(SyntaxTreeNode(parser().parse(text)).children, max(width, _NARROWEST))


def _blocks(nodes: Iterable[SyntaxTreeNode], width: int, depth: int = 0, *, tight: bool = False) -> list[Content]:
    lines: list[Content] = []
    for node in nodes:
        block = _block(node, width, depth)
        if lines and block and not tight:
            lines.append(Content(""))
        lines += block
    return lines


def _block(node: SyntaxTreeNode, width: int, depth: int) -> list[Content]:  # noqa: PLR0911 - one for each kind
    match node.type:
        case "heading":
            return inline(node).stylize(_HEADINGS.get(node.tag, "bold italic")).wrap(width)
        case "paragraph":
            return inline(node).wrap(width)
        case "fence" | "code_block":
            return _code(node.content, node.info.split()[0] if node.info.split() else "", width)
        case "bullet_list" | "ordered_list":
            return _list(node, width, depth)
        case "blockquote":
            bar = Content.styled("▌ ", "$secondary")
            return _indent(_blocks(node.children, _inner(width, 2), depth), bar, bar)
        case "table":
            rows = [[inline(cell) for cell in row.children] for part in node.children for row in part.children]
            head = node.children[0].children[0].children
            return table_lines(rows, [str(cell.attrs.get("style", "")) for cell in head], width)
        case "hr":
            return [Content.styled("─" * width, "dim")]
    return [part for child in node.children for part in _block(child, width, depth)]


def _list(node: SyntaxTreeNode, width: int, depth: int) -> list[Content]:
    number = int(node.attrs.get("start", 1))
    ordered = node.type == "ordered_list"
    tight = all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
    room = len(f"{number + len(node.children) - 1}. ") if ordered else 2
    lines: list[Content] = []
    for at, item in enumerate(node.children):
        mark = f"{number + at}.".rjust(room - 1) if ordered else _BULLETS[depth % len(_BULLETS)]
        inner = _blocks(item.children, _inner(width, room), depth + 1, tight=tight)
        if lines and not tight:
            lines.append(Content(""))
        lines += _indent(inner or [Content("")], Content.styled(f"{mark} ", "$secondary"), Content(" " * room))
    return lines


def _inner(width: int, taken: int) -> int:
    return max(_NARROWEST, width - taken)


def _indent(lines: Sequence[Content], first: Content, other: Content) -> list[Content]:
    return [(other if at else first) + line for at, line in enumerate(lines)]


def _code(code: str, language: str, width: int) -> list[Content]:
    """Code on a ground of its own; long lines are folded, so that nothing of them is out of reach."""
    content = _highlighted(code.rstrip("\n"), language)
    folded = [part for line in content.split("\n", allow_blank=True) for part in line.fold(width - 2)]
    padded = [
        Content(" ") + line + Content(" " * max(0, width - 1 - line.cell_length)) for line in folded or [Content("")]
    ]
    return [line.stylize_before("on $surface") for line in padded]


def _highlighted(code: str, language: str) -> Content:
    if not _known(language):
        return Content(code).expand_tabs(4)
    from textual.highlight import highlight  # noqa: PLC0415 - only code needs it

    return highlight(code, language=language, tab_size=4)


@cache
def _known(language: str) -> bool:
    """Whether there is highlighting for `language`; asked once, since a miss searches every installed package."""
    if not re.fullmatch(r"[\w.+#-]{1,24}", language):
        return False
    from pygments.lexers import find_lexer_class_by_name  # type: ignore[import-untyped]  # noqa: PLC0415
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        return find_lexer_class_by_name(language) is not None
    except ClassNotFound:
        return False


def inline(node: SyntaxTreeNode) -> Content:
    """The text of a block with its emphasis."""
    tokens: list[Token] = []
    for child in node.children:
        if child.type == "inline" and child.token is not None:
            tokens += child.token.children or []
    parts: list[str] = []
    spans: list[Span] = []
    open_: list[tuple[str, int]] = []
    at = 0
    for token in tokens:
        piece = {"softbreak": " ", "hardbreak": "\n"}.get(token.type, token.content)
        if token.type in _INLINE:
            open_.append((_INLINE[token.type], at))
        elif token.type.endswith("_close") and open_:
            style, start = open_.pop()
            spans.append(Span(start, at, style))
        elif token.type == "code_inline":
            spans.append(Span(at, at + len(piece), "on $panel"))
        if not token.type.endswith(("_open", "_close")):
            parts.append(piece)
            at += len(piece)
    return Content("".join(parts).replace("\t", " "), spans=spans)
