"""Where the wire ends: events of the host become typed messages of the screen."""

from __future__ import annotations

from collections.abc import Iterable

from textual.message import Message

from engine.events import Event, MessageAdded, MessageFinished, Notice, Snapshot, TurnDelta, TurnPrefill
from tui.state import HostView, apply
from tui.thread import TurnEvent


class HostChanged(Message, bubble=False):
    """The host's state as the screen shows it is another."""

    def __init__(self, view: HostView) -> None:
        self.view = view
        super().__init__()


class Resynchronised(Message, bubble=False):
    """A snapshot came: events may have been missed, what is open must be read again."""


class TurnsMoved(Message, bubble=False):
    """Messages came, grew or ended."""

    def __init__(self, events: tuple[TurnEvent, ...]) -> None:
        self.events = events
        super().__init__()


class HostNotice(Message):
    """The host has something to say."""

    def __init__(self, notice: Notice) -> None:
        self.notice = notice
        super().__init__()


def translate(view: HostView, events: Iterable[Event]) -> list[Message]:
    """The messages that one batch of events amounts to, starting from `view`."""
    after = view
    messages: list[Message] = []
    turns: list[TurnEvent] = []
    for event in events:
        after = apply(after, event)
        match event:
            case Snapshot():
                turns.clear()
                messages.append(Resynchronised())
            case MessageAdded() | TurnDelta() | TurnPrefill() | MessageFinished():
                turns.append(event)
            case Notice():
                messages.append(HostNotice(event))
    if after != view:
        messages.insert(0, HostChanged(after))
    if turns:
        messages.append(TurnsMoved(tuple(turns)))
    return messages
