"""Chat turns over a real host and real workers: durable, watched by nobody if need be, and honest about faults."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from pathlib import Path

import aiohttp
import psutil
import pytest
from fixtures.waiting import until
from hosts import WORDS, attached, ended, host_process, kill, model, talker, watching

from engine.client import EngineClient
from engine.errors import BadInput, Conflict, ModelNotFound, NotFound, WorkerHeldBack
from engine.events import MessageAdded, WorkerChanged
from engine.types import ChatMessage, WorkerState

CRASHING = """
[[replies]]
match = "crash"
text = "one two three four five"
fault = "crash"
after = 3

[[replies]]
match = "stall"
text = "one two three four five"
fault = "stall"
after = 3

[[replies]]
text = "all is well"
"""


async def worker_process(client: EngineClient) -> psutil.Process:
    """The process of the only worker."""
    (worker,) = (await client.status()).workers
    assert worker.pid is not None
    return psutil.Process(worker.pid)


async def messages(client: EngineClient, conversation: int) -> tuple[ChatMessage, ...]:
    return (await client.conversation(conversation)).messages


def stored(home: Path) -> list[tuple[str, str, str]]:
    """Role, state and text of every message, as another program reads them from the file."""
    database = sqlite3.connect(home / "data" / "conversations.sqlite")
    try:
        return list(database.execute("SELECT role, state, content FROM messages ORDER BY id"))
    finally:
        database.close()


async def test_the_message_is_on_disk_before_the_call_returns(home: Path) -> None:
    talker(home, rate=1)
    async with attached() as client:
        turn = await client.send_turn("Keep this.", model="talker")
        assert stored(home)[0] == ("user", "complete", "Keep this.")
        assert stored(home)[1][:2] == ("assistant", "writing")
        kill(process := host_process())
        await until(lambda: ended(process), "the host is dead")
        await client.attach(start=True)
        said, answer = await messages(client, turn.conversation)
        assert said.message.content == "Keep this."
        assert answer.state == "stopped"
        assert answer.error is not None
        assert "host ended" in answer.error.what


async def test_a_turn_names_its_conversation_and_goes_on_in_it(home: Path) -> None:
    model(home, "echo", "")
    async with attached() as client, watching(client) as watcher:
        first = await client.send_turn("What is a\ntoken?", model="echo")
        assert (await watcher.finished(first.message)).message.content == "You said: What is a\ntoken?"
        second = await client.send_turn("And a slot?", first.conversation, model="echo")
        await watcher.finished(second.message)
        conversation = await client.conversation(first.conversation)
        assert conversation.summary.title == "What is a"
        assert [message.message.role for message in conversation.messages] == ["user", "assistant"] * 2
        last = conversation.messages[-1]
        assert last.finish is not None
        assert last.finish.usage.completion_tokens > 0
        assert last.ttft_s is not None
        assert last.model == "echo"
        assert [summary.id for summary in await client.conversations()] == [first.conversation]


async def test_what_cannot_be_sent_is_refused_and_leaves_no_trace(home: Path) -> None:
    talker(home, rate=5)
    async with attached() as client:
        with pytest.raises(BadInput, match="empty"):
            await client.send_turn("  \n")
        with pytest.raises(NotFound):
            await client.send_turn("hi", 99)
        with pytest.raises(ModelNotFound, match="talker"):
            await client.send_turn("hi", model="talkre")
        assert await client.conversations() == ()
        turn = await client.send_turn("Speak.", model="talker")
        with pytest.raises(Conflict):
            await client.send_turn("And more.", turn.conversation, model="talker")
        await client.stop_turn(turn.conversation)


async def test_a_stopped_answer_keeps_what_was_written(home: Path) -> None:
    talker(home, rate=20)
    async with attached() as client, watching(client) as watcher:
        turn = await client.send_turn("Speak.", model="talker")

        async def some() -> bool:
            return "word3" in (await messages(client, turn.conversation))[-1].message.content

        await until(some, "a part of the answer is there")
        await client.stop_turn(turn.conversation)
        answer = await watcher.finished(turn.message)
        assert answer.state == "stopped"
        assert answer.error is None
        assert WORDS.startswith(answer.message.content)
        assert (await messages(client, turn.conversation))[-1] == answer
        again = await client.send_turn("Once more.", turn.conversation, model="talker")
        await client.stop_turn(again.conversation)


async def test_a_killed_client_leaves_the_answer_to_be_finished(home: Path) -> None:
    talker(home, rate=30)
    script = (
        "import asyncio, os, signal\n"
        "from engine.client import EngineClient\n"
        "from engine.events import TurnDelta\n"
        "from engine.paths import Paths\n"
        "async def main():\n"
        "    client = EngineClient(Paths.find(os.environ))\n"
        "    await client.attach(start=True)\n"
        "    events = client.events()\n"
        "    await anext(events)\n"
        "    await client.send_turn('Speak.', model='talker')\n"
        "    async for event in events:\n"
        "        if isinstance(event, TurnDelta):\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    dead = await asyncio.create_subprocess_exec(sys.executable, "-P", "-c", script)
    assert await dead.wait() == -signal.SIGKILL
    process = host_process()
    async with attached(start=False) as client:

        async def complete() -> bool:
            return (await messages(client, 1))[-1].state == "complete"

        await until(complete, "the answer is complete")
        assert (await messages(client, 1))[-1].message.content == WORDS
    await until(lambda: ended(process), "the host ends when idle")


async def test_no_worker_outlives_a_killed_host(home: Path) -> None:
    talker(home, rate=5)
    async with attached() as client, watching(client) as watcher:
        turn = await client.send_turn("Speak.", model="talker")
        await until(lambda: any(isinstance(event, MessageAdded) for event in watcher.events), "it has begun")

        async def writing() -> bool:
            return bool((await messages(client, turn.conversation))[-1].message.content)

        await until(writing, "it writes")
        worker = await worker_process(client)
        kill(host_process())
        await until(lambda: ended(worker), "the worker ends, too")


async def test_a_killed_worker_fails_its_answer_at_once_and_the_next_turn_works(home: Path) -> None:
    talker(home, rate=20)
    async with attached() as client, watching(client) as watcher:
        turn = await client.send_turn("Speak.", model="talker")

        async def some() -> bool:
            return bool((await messages(client, turn.conversation))[-1].message.content)

        await until(some, "a part of the answer is there")
        kill(await worker_process(client))
        failed = await watcher.finished(turn.message)
        assert failed.state == "failed"
        assert failed.error is not None
        assert failed.error.code == "worker_died"
        assert "SIGKILL" in failed.error.what
        assert failed.message.content
        talker(home, rate=500)
        again = await client.send_turn("Once more.", turn.conversation, model="talker")
        assert (await watcher.finished(again.message)).message.content == WORDS


async def test_a_model_that_crashes_again_and_again_is_held_back(home: Path) -> None:
    model(home, "frail", CRASHING)
    async with attached() as client, watching(client) as watcher:
        codes = []
        conversation = None
        for _ in range(4):
            turn = await client.send_turn("crash", conversation, model="frail")
            conversation = turn.conversation
            error = (await watcher.finished(turn.message)).error
            assert error is not None
            codes.append(error.code)
        assert codes == ["worker_died"] * 3 + ["worker_held_back"]
        (worker,) = (await client.status()).workers
        assert worker.state is WorkerState.CRASHED
        assert worker.error is not None
        assert worker.error.code == "worker_held_back"
        assert worker.error.retry_after_s
        with pytest.raises(WorkerHeldBack):
            await client.load_model("frail")
        await client.unload_model("frail")
        turn = await client.send_turn("fine", conversation, model="frail")
        assert (await watcher.finished(turn.message)).message.content == "all is well"


async def test_a_worker_that_hangs_can_be_stopped_and_unloaded(home: Path) -> None:
    model(home, "frail", CRASHING)
    async with attached() as client, watching(client) as watcher:
        turn = await client.send_turn("stall", model="frail")

        async def some() -> bool:
            return bool((await messages(client, turn.conversation))[-1].message.content)

        await until(some, "a part of the answer is there")
        worker = await worker_process(client)
        with pytest.raises(Conflict):
            await client.unload_model("frail")
        await client.stop_turn(turn.conversation)
        assert (await watcher.finished(turn.message)).state == "stopped"
        await client.unload_model("frail")
        assert ended(worker)
        assert (await client.status()).workers == ()


async def test_a_model_that_cannot_be_loaded_fails_the_answer_with_its_reason(home: Path) -> None:
    model(home, "broken", 'load_fault = "error"')
    (home / "models" / "cut.gguf").write_bytes(b"GGUF\x03\0\0\0")
    async with attached() as client, watching(client) as watcher:
        turn = await client.send_turn("hi", model="broken")
        failed = await watcher.finished(turn.message)
        assert failed.state == "failed"
        assert failed.error is not None
        assert failed.error.code == "model_load_failed"
        turn = await client.send_turn("hi", model="cut")
        failed = await watcher.finished(turn.message)
        assert failed.error is not None
        assert failed.error.code == "corrupt_model"
        assert "cut.gguf" in failed.error.what


async def test_a_tool_is_run_and_its_result_given_back(home: Path) -> None:
    call = '<tool_call>\\n{"name": "list_models", "arguments": {}}\\n</tool_call>'
    text = f"[[replies]]\nmatch = 'which models'\ntext = '''{call}'''\n".replace("\\n", "\n")
    model(home, "caller", text)
    async with attached() as client, watching(client) as watcher:
        turn = await client.send_turn("which models are here?", model="caller")
        await watcher.finished(turn.message)

        async def idle() -> bool:
            return (await client.status()).turns == 0

        await until(idle, "the turn is over")
        found = await messages(client, turn.conversation)
        assert [message.message.role for message in found][:3] == ["user", "assistant", "tool"]
        asked, result = found[1].message, found[2].message
        assert asked.tool_calls[0].name == "list_models"
        assert result.tool_call_id == asked.tool_calls[0].id
        assert json.loads(result.content)["loaded"] == ["caller"]
        assert found[-1].message.role == "assistant"
        assert found[-1].state == "complete"


async def test_load_unload_and_select_are_told(home: Path) -> None:
    talker(home)
    async with attached() as client, watching(client) as watcher:
        info = await client.load_model("talker")
        assert info.state is WorkerState.READY
        assert info.facts is not None
        await client.unload_model("talker")
        states = [event.info.state for event in watcher.events if isinstance(event, WorkerChanged)]
        assert states[0] is WorkerState.LOADING
        assert states[-1] is WorkerState.GONE
        assert (await client.select_model("talker")).id == "talker"
        await client.stop_host()
        assert (await client.attach(start=True)).active_model == "talker"
        assert "talker" in (home / "config" / "config.toml").read_text()


async def test_conversations_are_renamed_and_deleted_even_while_written(home: Path) -> None:
    talker(home, rate=5)
    async with attached() as client:
        turn = await client.send_turn("Speak.", model="talker")
        assert (await client.rename_conversation(turn.conversation, "Mine")).title == "Mine"
        await client.delete_conversation(turn.conversation)
        assert await client.conversations() == ()
        with pytest.raises(NotFound):
            await client.conversation(turn.conversation)
        assert stored(home) == []
        empty = await client.new_conversation()
        assert (await client.conversation(empty.id)).messages == ()


async def test_programs_and_chats_share_one_worker(home: Path) -> None:
    talker(home, rate=50)
    async with attached() as client, watching(client) as watcher:
        turn = await client.send_turn("Speak.", model="talker")
        connector = aiohttp.UnixConnector(str(home / "run" / "host.sock"))
        asked = {"model": "talker", "messages": [{"role": "user", "content": "hi"}]}
        async with (
            aiohttp.ClientSession(connector=connector) as program,
            program.post("http://footplate/v1/chat/completions", json=asked) as answer,
        ):
            assert (await answer.json())["choices"][0]["message"]["content"] == WORDS
        await watcher.finished(turn.message)
        assert len((await client.status()).workers) == 1
