from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.bus import Bus
from engine.chat.conversations import Conversations
from engine.errors import NotFound, StartError
from engine.events import Snapshot
from engine.types import ChatMessage, Finish, HostStatus, Message, Timings, ToolCall, Usage

STATUS = HostStatus(version="1", pid=1, started=0.0, serve=False, home="/", active_model="guide")


def user(text: str, created: float = 1.0) -> ChatMessage:
    return ChatMessage(id=0, message=Message(role="user", content=text), created=created)


async def test_everything_of_a_message_comes_back_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite"
    first = await Conversations.open(file, Bus())
    conversation = (await first.create("About keys")).id
    asked = await first.add(conversation, user("hi"), None)
    full = ChatMessage(
        id=0,
        message=Message(
            role="assistant",
            content="there ✓",
            reasoning="hm",
            tool_calls=(ToolCall(id="a", name="list_models", arguments="{}"),),
        ),
        created=2.5,
        model="guide",
        finish=Finish(
            reason="tool_calls", usage=Usage(prompt_tokens=3, completion_tokens=2), timings=Timings(decode_s=0.5)
        ),
        ttft_s=0.25,
    )
    answered = await first.add(conversation, full, asked.id)
    await first.close()
    again = await Conversations.open(file, Bus())
    stored = await again.read(conversation)
    assert stored.messages == (asked, answered)
    assert stored.summary.title == "About keys"
    assert stored.summary.model == "guide"
    assert stored.summary.updated == 2.5
    await again.close()


async def test_an_answer_half_written_by_an_ended_host_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite"
    first = await Conversations.open(file, Bus())
    conversation = (await first.create()).id
    empty = ChatMessage(id=0, message=Message(role="assistant", content="ha"), created=1.0, state="writing")
    await first.add(conversation, empty, None)
    await first.close()
    again = await Conversations.open(file, Bus())
    (message,) = (await again.read(conversation)).messages
    assert message.state == "stopped"
    assert message.message.content == "ha"
    assert message.error is not None
    assert "host ended" in message.error.what
    await again.close()


async def test_the_list_is_ordered_and_every_change_told(tmp_path: Path) -> None:
    bus = Bus()
    kept = await Conversations.open(tmp_path / "c.sqlite", bus)
    one, two = await kept.create("one"), await kept.create("two")
    await kept.add(one.id, user("later", created=two.updated + 10), None)
    assert [summary.title for summary in kept.summaries] == ["one", "two"]
    events = bus.subscribe(lambda: Snapshot(status=STATUS))
    await events.get()
    await kept.rename(two.id, "second")
    await kept.delete(one.id)
    told = [type((await events.get()).event).__name__ for _ in range(2)]
    assert told == ["ConversationChanged", "ConversationDeleted"]
    with pytest.raises(NotFound):
        await kept.read(one.id)
    await kept.close()


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite"
    database = sqlite3.connect(file)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StartError, match="newer"):
        await Conversations.open(file, Bus())


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite"
    file.write_text("not a database, but long enough to be taken for one " * 20)
    with pytest.raises(StartError, match=str(file)):
        await Conversations.open(file, Bus())
