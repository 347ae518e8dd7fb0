"""Small questions: one of several answers, or a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.text import clean, one_line


class Question(ModalScreen[str | None]):
    """Asks for one of several answers; its result is the answer's name, or none when it was cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    def __init__(self, title: str, text: str, answers: Sequence[tuple[str, str]]) -> None:
        super().__init__(classes="dialog")
        self._title = title
        self._text = text
        self._answers = answers

    def compose(self) -> ComposeResult:
        """Title, text, answers."""
        with Vertical():
            yield Static(Content.styled(clean(self._title), "bold"))
            yield Static(Content(clean(self._text)), classes="hint")
            yield OptionList(*(Option(label, id=name) for name, label in self._answers), markup=False, compact=True)

    def action_down(self) -> None:
        """The answer below."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The answer above."""
        self.query_one(OptionList).action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """This is the answer."""
        self.dismiss(event.option_id)


class LineInput(ModalScreen[str | None]):
    """Asks for a line of text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, title: str, value: str) -> None:
        super().__init__(classes="dialog")
        self._title = title
        self._value = value

    def compose(self) -> ComposeResult:
        """Title and input."""
        with Vertical():
            yield Static(Content.styled(clean(self._title), "bold"))
            line = Input(one_line(self._value), compact=True)
            line.cursor_blink = False
            yield line
            yield Static("Enter accepts, Esc cancels", classes="hint", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The text, unless it is empty."""
        self.dismiss(event.value.strip() or None)
