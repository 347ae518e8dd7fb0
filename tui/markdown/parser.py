"""The Markdown that is understood: CommonMark with tables and strikethrough; no HTML, and links that lead nowhere."""

from __future__ import annotations

from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from tui.text import clean


@cache
def parser() -> MarkdownIt:
    """Parses blocks and their text. HTML is text; a link is its text, followed by where it leads."""
    made = MarkdownIt("gfm-like", {"html": False, "linkify": False})
    made.core.ruler.push("inert_links", _make_links_inert)
    return made


@cache
def block_parser() -> MarkdownIt:
    """Finds the blocks alone, and where they begin and end."""
    made = MarkdownIt("gfm-like", {"html": False, "linkify": False})
    made.core.ruler.enableOnly(["normalize", "block"])
    return made


def _make_links_inert(state: StateCore) -> None:
    for token in state.tokens:
        if token.children:
            token.children = _inert(token.children)


def _inert(tokens: list[Token]) -> list[Token]:
    """Replaces links and images by their text, followed by where they lead."""
    found: list[Token] = []
    targets: list[tuple[str, int]] = []
    for token in tokens:
        if token.type == "link_open":
            targets.append((str(token.attrGet("href") or ""), len(found)))
        elif token.type == "link_close" and targets:
            target, start = targets.pop()
            label = "".join(part.content for part in found[start:])
            if target and target not in (label, f"mailto:{label}"):
                found.append(_text(f" ({target})"))
        elif token.type == "image":
            found.append(_text(f"[image: {token.content or 'no description'}] ({token.attrGet('src') or ''})"))
        else:
            found.append(token)
    return found


def _text(content: str) -> Token:
    return Token("text", "", 0, content=clean(content))
