"""The API as it is served: a real host, a real worker that follows a script, the real client."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from fixtures.waiting import until
from served import Host, started

from engine.paths import Paths

SCRIPT = r"""
context = 512
slots = 2
tok_per_s = 400

[[replies]]
match = "weather"
text = '''<think>I must look.</think><tool_call>
{"name": "look", "arguments": {"at": "sky"}}
</tool_call>'''

[[replies]]
match = "for ever"
text = "on and on "
fault = "endless"

[[replies]]
match = "crash"
text = "one two three four five six"
fault = "crash"
after = 3
"""
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def asked(text: str) -> dict[str, Any]:
    return {"model": "told", "messages": [{"role": "user", "content": text}]}


@pytest.fixture
async def host(home: Path) -> AsyncIterator[Host]:
    paths = Paths.find(os.environ)
    paths.models.mkdir(parents=True)
    (paths.models / "told.scripted.toml").write_text(SCRIPT)
    async with started(paths) as running:
        yield running


@pytest.fixture
async def ai(host: Host) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{await host.url()}/v1", api_key="any", max_retries=0) as client:
        yield client


async def test_answers_whole_streamed_and_at_once(ai: openai.AsyncOpenAI) -> None:
    whole = await ai.chat.completions.create(**asked("hello"))
    assert whole.choices[0].message.content == "You said: hello"
    assert whole.usage.completion_tokens > 0

    async def streamed(text: str) -> str:
        chunks = await ai.chat.completions.create(**asked(text), stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    texts = [f"number {index}" for index in range(6)]
    assert await asyncio.gather(*map(streamed, texts)) == [f"You said: {text}" for text in texts]


async def test_a_tool_call_and_its_answer(ai: openai.AsyncOpenAI) -> None:
    async with ai.chat.completions.stream(**asked("the weather?"), tools=TOOLS) as events:
        message = (await events.get_final_completion()).choices[0].message
    call = message.tool_calls[0]
    assert call.id
    assert json.loads(call.function.arguments) == {"at": "sky"}
    again = asked("the weather?")["messages"] + [
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": [{"type": "text", "text": "blue"}]},
        {"role": "user", "content": "thanks"},
    ]
    answer = await ai.chat.completions.create(model="told", messages=again, tools=TOOLS)
    assert answer.choices[0].message.content == "You said: thanks"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_that_does_not_fit(ai: openai.AsyncOpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length is 512 tokens") as caught:
        await ai.chat.completions.create(**asked("word " * 2000), stream=stream)
    assert caught.value.code == "context_length_exceeded"


async def test_max_tokens_and_stop(ai: openai.AsyncOpenAI) -> None:
    cut = await ai.chat.completions.create(**asked("hello"), max_tokens=1)
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage.completion_tokens == 1
    stopped = await ai.chat.completions.create(**asked("one STOP two"), stop=["STOP"], max_tokens=32_000)
    assert stopped.choices[0].message.content == "You said: one "


async def test_a_crash_is_told_and_the_next_request_is_answered(ai: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.APIError) as caught:
        async for _ in await ai.chat.completions.create(**asked("crash"), stream=True):
            pass
    assert caught.value.code == "worker_died"
    answer = await ai.chat.completions.create(**asked("hello"))
    assert answer.choices[0].message.content == "You said: hello"


async def test_a_client_that_leaves_frees_its_slot(ai: openai.AsyncOpenAI, host: Host) -> None:
    async with asyncio.timeout(60):
        for _ in range(5):
            stream = await ai.chat.completions.create(**asked("for ever"), stream=True)
            await anext(stream)
            await stream.close()

        async def idle() -> bool:
            status = await host.status()
            return status.get("requests", 0) == 0 and all(each["state"] == "ready" for each in status["workers"])

        await until(idle, "no request under way")
        answer = await ai.chat.completions.create(**asked("hello"))
    assert answer.choices[0].message.content == "You said: hello"
