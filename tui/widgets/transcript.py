"""The transcript: the messages of a conversation, of which those near the view are mounted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from textual import work
from textual.containers import VerticalScroll
from textual.message import Message

from engine.types import ChatMessage
from tui.commands import Where, bindings
from tui.widgets.message import MessageView
from tui.window import Window

Note = Callable[[ChatMessage], str]
"""What stands under a message."""


class Transcript(VerticalScroll, can_focus=True):
    """Shows messages; follows the end while the user has not scrolled away from it."""

    BINDINGS = bindings(Where.TRANSCRIPT)

    class Left(Message):
        """The user wants to write."""

    class Copied(Message):
        """The user wants `text` on the clipboard."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self.folded = True
        self.chosen: int | None = None
        """Id of the chosen message."""
        self._messages: list[ChatMessage] = []
        self._results: Mapping[str, ChatMessage] = {}
        self._note: Note = lambda _message: ""
        self._window = Window()
        self._views: dict[int, MessageView] = {}
        self._moving = asyncio.Lock()

    async def show(self, messages: list[ChatMessage], note: Note) -> None:
        """Shows another conversation, from its end."""
        async with self._moving:
            self._take(messages, note)
            self._mark(None)
            kept = set(self._views)
            await self._mount_window(Window.at_end([len(message.message.content) for message in self._messages]))
            for id_ in kept & set(self._views):
                await self._refresh_view(id_)
            self.anchor()

    async def refresh_messages(self, messages: list[ChatMessage], note: Note, touched: set[int]) -> None:
        """Brings the view up to date: messages that came are mounted, `touched` ones (ids) shown anew."""
        async with self._moving:
            before = len(self._messages)
            self._take(messages, note)
            if len(self._messages) > before and self._window.end == before:
                await self._mount_window(self._window.later(len(self._messages)))
            for id_ in touched:
                await self._refresh_view(id_)

    def fold(self) -> None:
        """Folds or unfolds reasoning and tool results of all messages."""
        self.folded = not self.folded
        for view in self._views.values():
            view.fold(self.folded)

    def action_next(self) -> None:
        """Chooses the message below."""
        self._choose_by(1)

    def action_previous(self) -> None:
        """Chooses the message above."""
        self._choose_by(-1)

    def action_first(self) -> None:
        """Chooses the first message."""
        if self._messages:
            self._choose(0)

    def action_last(self) -> None:
        """Chooses the last message and follows the end again."""
        if self._messages:
            self._choose(len(self._messages) - 1)
            self.anchor()

    def action_copy(self) -> None:
        """Copies the chosen message, or the last."""
        message = self._find(self.chosen) if self.chosen is not None else None
        if message is None and self._messages:
            message = self._messages[-1]
        if message is not None:
            self.post_message(self.Copied(message.message.content))

    def action_write(self) -> None:
        """Back to the input."""
        self.post_message(self.Left())

    def on_focus(self) -> None:
        """There is always a chosen message while the keys are here."""
        if self.chosen is None and self._messages:
            self._mark(self._messages[-1].id)

    def on_blur(self) -> None:
        """Nothing is chosen while the keys are elsewhere."""
        self._mark(None)

    def on_message_view_chosen(self, event: MessageView.Chosen) -> None:
        """A click chooses."""
        self.focus(scroll_visible=False)
        self._mark(event.message)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Mounts more when the view nears the edge of what is mounted."""
        super().watch_scroll_y(old_value, new_value)
        if self._moving.locked() or not self._views:
            return
        if self._window.end == len(self._messages) and new_value >= self.max_scroll_y and not self.is_anchored:
            self.anchor()
        earlier = new_value < old_value
        if self._near_edge(earlier=earlier):
            self._extend(earlier=earlier)

    def _near_edge(self, *, earlier: bool) -> bool:
        """Whether the view is within its own height of the end of what is mounted, and there is more."""
        if earlier:
            return self._window.first > 0 and self.scroll_y < self.size.height
        return self._window.end < len(self._messages) and self.scroll_y > self.max_scroll_y - self.size.height

    @work(group="extend")
    async def _extend(self, *, earlier: bool) -> None:
        async with self._moving:
            if not self._near_edge(earlier=earlier):
                return
            window = self._window.earlier() if earlier else self._window.later(len(self._messages))
            kept = self._messages[max(window.first, self._window.first)].id
            before = self._views[kept].virtual_region.y
            with self.app.batch_update():
                await self._mount_window(window)
                self.call_after_refresh(self._keep_in_place, kept, before)

    def _keep_in_place(self, kept: int, before: int) -> None:
        """Scrolls by as much as the message `kept` was moved by what was mounted or removed above it."""
        if (view := self._views.get(kept)) is not None and view.virtual_region.y != before:
            y = self.scroll_y + view.virtual_region.y - before
            self.scroll_to(y=y, animate=False, force=True, immediate=True)

    async def _refresh_view(self, id_: int) -> None:
        if (view := self._views.get(id_)) is not None and (message := self._find(id_)) is not None:
            await view.show(message, self._results, self._note(message))

    async def _mount_window(self, window: Window) -> None:
        wanted = {self._messages[at].id: at for at in range(window.first, window.end)}
        with self.app.batch_update():
            gone = [self._views.pop(id_) for id_ in list(self._views) if id_ not in wanted]
            if gone:
                await self.remove_children(gone)
            above: MessageView | None = None
            fresh: list[MessageView] = []
            for id_, at in wanted.items():
                view = self._views.get(id_)
                if view is None:
                    fresh.append(self._view_of(at))
                    continue
                if fresh:
                    await self.mount_all(fresh, before=view)
                    fresh = []
                above = view
            if fresh:
                await (self.mount_all(fresh, after=above) if above is not None else self.mount_all(fresh))
        self._window = window
        if window.end < len(self._messages):
            self.anchor(False)  # the end of what is mounted is not the end of the conversation

    def _view_of(self, at: int) -> MessageView:
        message = self._messages[at]
        view = MessageView(message, self._results, self._note(message), folded=self.folded)
        view.set_class(message.id == self.chosen, "-chosen")
        both_call = at > 0 and bool(self._messages[at - 1].message.tool_calls and message.message.tool_calls)
        view.set_class(both_call, "-continued")
        self._views[message.id] = view
        return view

    def _take(self, messages: list[ChatMessage], note: Note) -> None:
        self._note = note
        self._results = {
            message.message.tool_call_id: message
            for message in messages
            if message.message.role == "tool" and message.message.tool_call_id
        }
        self._messages = [message for message in messages if message.message.role in ("user", "assistant")]

    def _find(self, id_: int) -> ChatMessage | None:
        return next((message for message in reversed(self._messages) if message.id == id_), None)

    def _choose_by(self, step: int) -> None:
        if not self._messages:
            return
        ids = [message.id for message in self._messages]
        at = ids.index(self.chosen) + step if self.chosen in ids else len(ids) - 1
        self._choose(max(0, min(len(ids) - 1, at)))

    def _choose(self, at: int) -> None:
        id_ = self._messages[at].id
        if at in self._window:
            self._mark(id_)
            self._views[id_].scroll_visible(animate=False, top=False)
        else:
            self.chosen = id_
            self._jump(at)

    @work(group="extend")
    async def _jump(self, at: int) -> None:
        id_ = self._messages[at].id
        async with self._moving:
            if self.chosen != id_:
                return
            if at not in self._window:
                await self._mount_window(Window.around(at, len(self._messages)))
        self._mark(id_)
        self.call_after_refresh(self._views[id_].scroll_visible, animate=False)

    def _mark(self, id_: int | None) -> None:
        if self.chosen is not None and (before := self._views.get(self.chosen)) is not None:
            before.remove_class("-chosen")
        self.chosen = id_
        if id_ is not None and (view := self._views.get(id_)) is not None:
            view.add_class("-chosen")
