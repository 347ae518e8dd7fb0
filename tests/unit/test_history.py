from __future__ import annotations

from typing import Literal

from engine.chat.history import TITLE_LENGTH, history, title
from engine.types import ChatMessage, Message, ToolCall

CALL = ToolCall(id="c1", name="list_models", arguments="{}")


def said(message: Message, state: Literal["complete", "writing", "stopped", "failed"] = "complete") -> ChatMessage:
    return ChatMessage(id=1, message=message, created=0.0, state=state)


def test_reasoning_and_answers_that_came_to_nothing_are_left_out() -> None:
    user = Message(role="user", content="hi")
    shown = history(
        [
            said(user),
            said(Message(role="assistant"), "failed"),
            said(user),
            said(Message(role="assistant", content="half", reasoning="hm"), "stopped"),
        ]
    )
    assert shown == (user, user, Message(role="assistant", content="half"))


def test_a_call_is_shown_with_its_result_and_not_without() -> None:
    call = Message(role="assistant", tool_calls=(CALL,))
    result = Message(role="tool", content="{}", tool_call_id="c1", name="list_models")
    assert history([said(call), said(result)]) == (call, result)
    assert history([said(call)]) == ()
    assert history([said(result)]) == ()


def test_a_title_is_the_first_line_cut_at_a_word() -> None:
    assert title("  Hello\nworld") == "Hello"
    long = title("word " * 40)
    assert len(long) <= TITLE_LENGTH + 1
    assert long.endswith("word…")
