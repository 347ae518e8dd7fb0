"""The help screen: every key that works now, from the table of commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.commands import COMMANDS, Where, key_name, keys_of


class Help(ModalScreen[None]):
    """Keys by place; any of the closing keys leads back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q", "dismiss(None)", "Close"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, keymap: Mapping[str, str]) -> None:
        super().__init__(classes="dialog -wide")
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """One column of keys, one of what they do."""
        with Vertical():
            yield Static(Content.assemble(("Keys", "bold"), ("   Esc closes · ↑ ↓ scroll", "$secondary")))
            with VerticalScroll():
                yield Static(self._table())

    def action_scroll(self, lines: int) -> None:
        """Scrolls by `lines`."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def _table(self) -> Content:
        parts: list[Content] = []
        for where in Where:
            rows = [command for command in COMMANDS if command.where is where and command.available]
            if rows:
                parts.append(Content.styled(f"{'' if not parts else chr(10)}{where.value}", "bold"))
            for command in rows:
                shown = "  ".join(key_name(key) for key in keys_of(command, self._keymap)) or "in the palette"
                style = "$primary" if command.keys else "$secondary"
                parts.append(Content.assemble((f"  {shown:<20}", style), command.title))
        return Content("\n").join(parts)
