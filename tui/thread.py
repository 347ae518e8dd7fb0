"""An open conversation as data: its messages, and the events of the turn that is being written."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec.structs import replace

from engine.events import MessageAdded, MessageFinished, TurnDelta, TurnPrefill
from engine.types import ChatMessage, Conversation, ToolCall, ToolCallDelta

TurnEvent = MessageAdded | TurnDelta | TurnPrefill | MessageFinished
"""Events about single messages."""


@dataclass(slots=True)
class Thread:
    """The messages of one conversation, oldest first. Applying an event twice changes nothing the second time."""

    id: int
    messages: list[ChatMessage] = field(default_factory=list)
    prefill: dict[int, TurnPrefill] = field(default_factory=dict)
    """By message: how much of its prompt has been computed, until the first text comes."""
    tok_s: float | None = None
    """Decode rate of the answer being written."""

    @classmethod
    def of(cls, conversation: Conversation) -> Thread:
        """The thread of a conversation as the host stores it."""
        return cls(id=conversation.summary.id, messages=list(conversation.messages))

    def index(self, message: int) -> int | None:
        """Where the message of that id stands; the last ones are found first."""
        return next((at for at in range(len(self.messages) - 1, -1, -1) if self.messages[at].id == message), None)

    @property
    def writing(self) -> ChatMessage | None:
        """The answer being written."""
        return next((message for message in reversed(self.messages[-4:]) if message.state == "writing"), None)

    def apply(self, event: TurnEvent) -> bool:
        """Takes `event` in; false when something before it was missed: the conversation must be read again."""
        match event:
            case MessageAdded() | MessageFinished():
                self.put(event)
            case TurnPrefill():
                self.prefill[event.message] = event
            case TurnDelta():
                return self.grow(event)
        return True

    def touched(self, event: TurnEvent) -> set[int]:
        """The messages that look different after `event`: a tool's result is shown where it was called."""
        if isinstance(event, TurnDelta | TurnPrefill):
            return {event.message}
        call = event.message.message.tool_call_id
        callers = [m.id for m in self.messages if call and any(made.id == call for made in m.message.tool_calls)]
        return {event.message.id, *callers}

    def put(self, event: MessageAdded | MessageFinished) -> bool:
        """Adds the message, or replaces the one of its id; whether it was new. A finished message stays finished."""
        message = event.message
        at = self.index(message.id)
        if isinstance(event, MessageFinished):
            self.prefill.pop(message.id, None)
            self.tok_s = None
        if at is None:
            self.messages.append(message)
            return True
        if isinstance(event, MessageFinished) or len(message.message.content) > len(self.messages[at].message.content):
            self.messages[at] = message
        return False

    def grow(self, event: TurnDelta) -> bool:
        """Adds the text that is new; false when some before it was missed: the conversation must be read again."""
        at = self.index(event.message)
        if at is None:
            return False
        known = self.messages[at]
        if known.state != "writing":
            return True
        text, reasoning = known.message.content, known.message.reasoning
        if event.offset > len(text) or event.reasoning_offset > len(reasoning):
            return False
        self.prefill.pop(event.message, None)
        self.tok_s = event.tok_s if event.tok_s is not None else self.tok_s
        message = replace(
            known.message,
            content=text + event.text[len(text) - event.offset :],
            reasoning=reasoning + event.reasoning[len(reasoning) - event.reasoning_offset :],
            tool_calls=_join(known.message.tool_calls, event.tool_calls),
        )
        self.messages[at] = replace(known, message=message)
        return True


def _join(calls: tuple[ToolCall, ...], deltas: tuple[ToolCallDelta, ...]) -> tuple[ToolCall, ...]:
    joined = list(calls)
    for delta in deltas:
        if delta.index >= len(joined):
            joined.append(ToolCall(id=delta.id or "", name=delta.name or "", arguments=delta.arguments))
        else:
            call = joined[delta.index]
            joined[delta.index] = replace(call, arguments=call.arguments + delta.arguments)
    return tuple(joined)
