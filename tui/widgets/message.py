"""One message of the transcript."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from engine.types import ChatMessage, ToolCall
from tui.footnote import error_text
from tui.text import clean, one_line

if TYPE_CHECKING:
    from tui.widgets.answer import Answer

RESULT_LINES = 40
"""An unfolded tool result shows so many lines at most."""


class MessageView(Vertical):
    """A user's message, or an answer with its reasoning, tool calls and footnote."""

    class Chosen(Message):
        """The message was clicked."""

        def __init__(self, message: int) -> None:
            self.message = message
            super().__init__()

    def __init__(self, message: ChatMessage, results: Mapping[str, ChatMessage], note: str, *, folded: bool) -> None:
        super().__init__(classes=f"-{message.message.role}")
        self.set_class(folded, "-folded")
        self.message = message
        self._results = results
        self._note = note
        self._folded = folded
        self._answer: Answer | None = None

    def compose(self) -> ComposeResult:
        """The parts that this message has."""
        if self.message.message.role != "assistant":
            yield Static(self._spoken(), classes="spoken")
            return
        yield Static(self._reasoning(), classes="reasoning")
        if self.message.message.content:
            yield self._new_answer()
        yield Static(self._calls(), classes="calls")
        yield Static(self._problem(), classes="problem")
        yield Static(Content(self._note), classes="note")

    def on_mount(self) -> None:
        """Hides the parts that are empty."""
        self._hide_empty()

    async def show(self, message: ChatMessage, results: Mapping[str, ChatMessage], note: str) -> None:
        """Shows the message as it is now; text that grew is streamed."""
        self.message, self._results, self._note = message, results, note
        if message.message.role != "assistant":
            self.query_one(".spoken", Static).update(self._spoken())
            return
        if self._answer is not None:
            await self._answer.show(message.message.content)
        elif message.message.content:
            await self.mount(self._new_answer(), after=self.query_one(".reasoning"))
        self._refresh_parts()

    def fold(self, folded: bool) -> None:
        """Folds or unfolds reasoning and tool results."""
        if folded is not self._folded:
            self._folded = folded
            self.set_class(folded, "-folded")
            if self.message.message.role == "assistant":
                self._refresh_parts()

    def on_click(self, event: Click) -> None:
        """A click chooses the message; on reasoning or tool calls it folds them too."""
        self.post_message(self.Chosen(self.message.id))
        if event.widget is not None and (event.widget.has_class("reasoning") or event.widget.has_class("calls")):
            self.fold(not self._folded)

    def _new_answer(self) -> Answer:
        from tui.widgets.answer import Answer  # noqa: PLC0415 - Markdown costs more than the first frame should

        self._answer = Answer(self.message.message.content)
        return self._answer

    def _refresh_parts(self) -> None:
        self._update(".reasoning", self._reasoning())
        self._update(".calls", self._calls())
        self._update(".problem", self._problem())
        self._update(".note", Content(self._note))
        self._hide_empty()

    def _update(self, part: str, content: Content) -> None:
        """Changes a part only if it differs: what is painted again for nothing is slow on a slow link."""
        static = self.query_one(part, Static)
        if not (isinstance(static.content, Content) and static.content.is_same(content)):
            static.update(content)

    def _hide_empty(self) -> None:
        if self.message.message.role != "assistant":
            return
        said = self.message.message
        self.query_one(".reasoning").display = bool(said.reasoning)
        self.query_one(".calls").display = bool(said.tool_calls)
        self.query_one(".problem").display = self.message.error is not None
        self.query_one(".note").display = bool(self._note)
        self.set_class(self.message.state == "writing", "-writing")

    def _spoken(self) -> Content:
        said = self.message.message
        if said.role == "user":
            return Content.assemble(("You\n", "bold"), clean(said.content))
        return Content(f"{said.role}: {one_line(said.content)}")

    def _reasoning(self) -> Content:
        reasoning = clean(self.message.message.reasoning).strip()
        words = len(reasoning.split())
        if self._folded:
            return Content(f"▸ Reasoning, {words} word{'' if words == 1 else 's'}")
        return Content(f"▾ Reasoning\n{reasoning}")

    def _calls(self) -> Content:
        return Content("\n").join([self._call(call) for call in self.message.message.tool_calls])

    def _call(self, call: ToolCall) -> Content:
        result = self._results.get(call.id)
        head = Content.assemble("◆ ", (one_line(call.name, 60), "bold"), f" {one_line(call.arguments, 120)}")
        if result is None:
            return head + Content(" …")
        if self._folded:
            return head + Content(f" → {one_line(result.message.content, 160) or 'nothing'}")
        lines = clean(result.message.content).splitlines()
        left = len(lines) - RESULT_LINES
        shown = [*lines[:RESULT_LINES], *([f"… {left} more lines"] if left > 0 else [])]
        return head + Content("".join(f"\n  {line}" for line in shown))

    def _problem(self) -> Content:
        return Content(error_text(self.message.error)) if self.message.error else Content("")
