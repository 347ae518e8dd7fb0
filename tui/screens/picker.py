"""A list to choose from by typing a part of what is meant: models, conversations, themes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.text import one_line


@dataclass(frozen=True, slots=True)
class Choice:
    """A line of the list."""

    id: str
    name: str
    detail: str = ""
    """Shown at the right, not searched."""
    chosen: bool = False
    """It is what is in use now."""
    note: str = ""
    """A sentence shown while the cursor is on it."""
    problem: str = ""
    """Why it cannot be chosen."""


def matching(pattern: str, choices: Sequence[Choice]) -> list[Choice]:
    """The choices whose name matches, best first: at its beginning, at a word's, within, then letters with gaps."""
    matcher = Matcher(pattern)
    part = pattern.lower()
    ranked: list[tuple[tuple[int, float], Choice]] = []
    for choice in choices:
        name = choice.name.lower()
        at = name.find(part)
        if at >= 0:
            starts = at == 0 or re.search(rf"\b{re.escape(part)}", name) is not None
            ranked.append(((0 if at == 0 else 1 if starts else 2, 0.0), choice))
        elif (score := matcher.match(choice.name)) > 0:
            ranked.append(((3, -score), choice))
    return [choice for _rank, choice in sorted(ranked, key=lambda pair: pair[0])]


class Picker(ModalScreen[str | None]):
    """Its result is the id of the choice, or none. `choices` is asked again by `reload`, so the list stays true."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("down", "down", "Down", show=False),
        Binding("up", "up", "Up", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("pageup", "page_up", show=False),
    ]

    def __init__(self, title: str, choices: Callable[[], Sequence[Choice]], empty: str) -> None:
        super().__init__(classes="dialog -wide")
        self._title = title
        self._choices = choices
        self._empty = empty
        self._shown: list[Choice] = []

    def compose(self) -> ComposeResult:
        """Title, filter, list, and what is to say about the line under the cursor."""
        with Vertical():
            yield Static(Content.styled(self._title, "bold"))
            line = Input(placeholder="Type to filter", compact=True)
            line.cursor_blink = False
            yield line
            yield OptionList(markup=False, compact=True)
            yield Static(classes="hint", markup=False)

    def on_mount(self) -> None:
        """Shows everything; the cursor stands on what is in use."""
        self.query_one(OptionList).can_focus = False
        self.reload()

    def on_resize(self) -> None:
        """Lines are as long as the list is wide."""
        self.call_after_refresh(self.reload)

    def reload(self) -> None:
        """Reads the choices again."""
        pattern = self.query_one(Input).value.strip()
        choices = list(self._choices())
        if pattern:
            choices = matching(pattern, choices)
        options = self.query_one(OptionList)
        kept = self._shown[options.highlighted].id if options.highlighted is not None and self._shown else None
        self._shown = choices
        options.clear_options()
        options.add_options([Option(self._line(choice), id=choice.id) for choice in choices])
        if choices:
            at = 0 if pattern else next((at for at, choice in enumerate(choices) if choice.chosen), 0)
            options.highlighted = next((at for at, choice in enumerate(choices) if choice.id == kept), at)
        self._explain()

    def on_input_changed(self) -> None:
        """Filters."""
        self.reload()

    def on_input_submitted(self) -> None:
        """Chooses what is under the cursor."""
        self._choose(self.query_one(OptionList).highlighted)

    def on_option_list_option_highlighted(self) -> None:
        """Explains what is under the cursor."""
        self._explain()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click chooses."""
        self._choose(event.option_index)

    def action_down(self) -> None:
        """The line below."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The line above."""
        self.query_one(OptionList).action_cursor_up()

    def action_page_down(self) -> None:
        """A page down."""
        self.query_one(OptionList).action_page_down()  # type: ignore[no-untyped-call]

    def action_page_up(self) -> None:
        """A page up."""
        self.query_one(OptionList).action_page_up()  # type: ignore[no-untyped-call]

    def _choose(self, at: int | None) -> None:
        if at is not None and at < len(self._shown) and not self._shown[at].problem:
            self.dismiss(self._shown[at].id)

    def _explain(self) -> None:
        at = self.query_one(OptionList).highlighted
        choice = self._shown[at] if at is not None and at < len(self._shown) else None
        text = (choice.problem or choice.note or "Enter chooses, Esc cancels") if choice else self._empty
        self.query_one(".hint", Static).update(Content(text))

    def _line(self, choice: Choice) -> Content:
        width = max(20, self.query_one(OptionList).scrollable_content_region.width - 2)
        mark = "✗ " if choice.problem else "● " if choice.chosen else "  "
        detail = one_line(choice.detail, width // 2)
        name = one_line(choice.name, max(8, width - len(detail) - 4))
        return Content.assemble(mark, name.ljust(max(0, width - len(detail) - 2)), (detail, "dim"))
