"""What an empty chat shows: where you are, and what you can ask."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import ErrorInfo
from tui.footnote import error_text

QUESTIONS = (
    "What is Footplate?",
    "How do I switch the model?",
    "How do I connect Cline?",
    "What is quantization?",
)


class Questions(OptionList):
    """Questions that can be asked with a key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("i,escape", "write", "Write"),
        Binding("enter", "select", "Ask"),
    ]

    class Left(Message):
        """The user wants to write."""

    def action_write(self) -> None:
        """Back to the input."""
        self.post_message(self.Left())


class Welcome(Vertical):
    """The empty chat, or what keeps it from working."""

    class Asked(Message):
        """The user chose a question."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    def compose(self) -> ComposeResult:
        """The greeting, the questions, and room for a problem."""
        yield Static(Content.assemble(("Footplate", "bold"), "  your models, on this machine"), classes="greeting")
        yield Static("Write below and press Enter. Or ask Guide, the built-in model:", classes="hint", markup=False)
        yield Questions(*(Option(question) for question in QUESTIONS), id="questions", markup=False)
        yield Static(classes="problem", markup=False)

    def on_mount(self) -> None:
        """No problem yet."""
        self.query_one(".problem").display = False

    def show_problem(self, error: ErrorInfo | None) -> None:
        """Shows why nothing can be asked now, or that all is well again."""
        panel = self.query_one(".problem", Static)
        panel.update(Content(error_text(error)) if error else Content(""))
        panel.display = error is not None

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Asks the question."""
        event.stop()
        self.post_message(self.Asked(QUESTIONS[event.option_index]))
