"""A model's Markdown on the screen: grows piece by piece, and only the last piece is ever drawn anew.

Textual's own Markdown widget has a widget for each block, item and cell: at 30,000 characters, one more word took it
more than a second. This one has a widget for about 1,200 characters, whose lines are kept.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region, Size
from textual.widget import Widget

from tui.markdown.pieces import Cutter, Piece
from tui.markdown.render import render
from tui.text import clean


class PieceView(Widget):
    """One piece of Markdown."""

    DEFAULT_CSS = """
    PieceView {
        width: 1fr;
        height: auto;
        text-wrap: nowrap;
    }
    """

    def __init__(self, piece: Piece) -> None:
        super().__init__()
        self._piece = piece
        self._lines: list[Content] = []
        self._width = -1

    def show(self, piece: Piece) -> None:
        """Shows `piece` instead; only the lines that differ are painted anew."""
        if piece == self._piece:
            return
        before, width = self._lines, self._width
        self._piece, self._width = piece, -1
        after = self._at(width) if width > 0 else []
        if len(after) != len(before) or width <= 0:
            self.refresh(layout=True)
            return
        changed = next(
            (y for y, pair in enumerate(zip(before, after, strict=True)) if not pair[0].is_same(pair[1])), None
        )
        if changed is not None:
            self.refresh(Region(0, changed, width, len(after) - changed))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the piece has at this width."""
        return len(self._at(width))

    def render(self) -> Content:
        """All lines."""
        return Content("\n").join(self._at(self.content_size.width))

    def _at(self, width: int) -> list[Content]:
        if width != self._width:
            self._lines = render(self._piece.text, width)
            self._lines += [Content("")] if self._piece.gap else []
            self._width = width
        return self._lines


class Answer(Vertical):
    """Markdown of untrusted origin, which may still be growing. Links are text; HTML is shown as text."""

    DEFAULT_CSS = """
    Answer {
        height: auto;
    }
    """

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._text = ""
        self._cutter = Cutter()
        self._open: PieceView | None = None
        self._first = self._take(clean(text))

    def compose(self) -> ComposeResult:
        """The pieces of what is there from the beginning."""
        yield from self._first
        self._first = []

    async def show(self, text: str) -> None:
        """Shows `text`: what it adds to the text before is added, anything else replaces the whole."""
        text = clean(text)
        if text == self._text:
            return
        with self.app.batch_update():
            if not text.startswith(self._text):
                self._text, self._cutter, self._open = "", Cutter(), None
                await self.remove_children()
            fresh = self._take(text)
            if fresh:
                await self.mount_all(fresh)

    def _take(self, text: str) -> list[PieceView]:
        """Takes what `text` adds; the views to be mounted for it."""
        closed, rest = self._cutter.grow(text[len(self._text) :])
        self._text = text
        fresh: list[PieceView] = []
        for piece in [*closed, *([rest] if rest else [])]:
            view, self._open = self._open or PieceView(piece), None
            if view in self.children:
                view.show(piece)
            else:
                fresh.append(view)
            if piece is rest:
                self._open = view
        return fresh
