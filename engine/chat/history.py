"""What a model is shown of a conversation, and what a conversation is called. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from engine.types import ChatMessage, Message

TITLE_LENGTH = 60


def history(stored: Iterable[ChatMessage]) -> tuple[Message, ...]:
    """The messages a template can render: no reasoning of earlier answers, no answer that came to nothing, and no
    tool call without its result (nor a result without its call).
    """
    messages = [chat.message for chat in stored if chat.state != "writing"]
    answered = {message.tool_call_id for message in messages if message.role == "tool"}
    shown: list[Message] = []
    known: set[str] = set()
    for message in messages:
        if message.role == "assistant":
            calls = tuple(call for call in message.tool_calls if call.id in answered)
            known |= {call.id for call in calls}
            if calls or message.content:
                shown.append(replace(message, reasoning="", tool_calls=calls))
        elif message.role != "tool" or message.tool_call_id in known:
            shown.append(message)
    return tuple(shown)


def title(text: str) -> str:
    """A title from the first message: its first line, cut at a word."""
    line = " ".join(text.strip().partition("\n")[0].split())
    if len(line) <= TITLE_LENGTH:
        return line
    cut = line[:TITLE_LENGTH].rpartition(" ")[0] or line[:TITLE_LENGTH]
    return f"{cut}…"
