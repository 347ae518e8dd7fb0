"""The input: several lines, growing to a limit; Enter sends."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.message import Message
from textual.widgets import TextArea

from tui.commands import Where, bindings

_TAKEN = {"f6", "f7"}
"""Keys of Textual's editor that are screens here."""


class Prompt(TextArea, inherit_bindings=False):
    """The chat input."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(binding for binding in TextArea.BINDINGS if isinstance(binding, Binding) and binding.key not in _TAKEN),
        *bindings(Where.INPUT),
    ]

    class Sent(Message):
        """The user wants `text` sent."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    class Left(Message):
        """The user wants to leave the input."""

    def __init__(self) -> None:
        super().__init__(
            compact=True,
            show_line_numbers=False,
            soft_wrap=True,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder="Ask something",
        )
        self.cursor_blink = False  # a blinking cursor repaints for ever, also over a slow link

    async def _on_key(self, event: Key) -> None:
        """Obeys this widget's own keys in the order they were typed, before the editor takes Enter for itself."""
        active = self.screen.active_bindings.get(event.key)
        own = {"send": self.action_send, "newline": self.action_newline}
        if active is not None and active.node is self and (obey := own.get(active.binding.id or "")) is not None:
            event.stop()
            event.prevent_default()
            obey()
        else:
            await super()._on_key(event)

    def action_send(self) -> None:
        """Sends what is written; nothing happens while there is only white space."""
        if self.text.strip():
            self.post_message(self.Sent(self.text.strip("\n")))

    def action_newline(self) -> None:
        """Begins a new line."""
        self.insert("\n")

    def action_leave(self) -> None:
        """Tells the screen to stop the answer, or to go to the transcript."""
        self.post_message(self.Left())
