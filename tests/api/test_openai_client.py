"""The real `openai` package against a live server."""

from __future__ import annotations

import asyncio

import openai
import pytest
from fake import FINISH, HELLO, FakeEngine, Serve

from engine.api.auth import hash_key
from engine.errors import ContextLengthExceeded, Overloaded, WorkerDied
from engine.types import Delta, Finish, Prefill, ToolCallDelta, Usage

ASK = [{"role": "user", "content": "hi"}]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
CALLS = (
    Delta(reasoning="I must look."),
    Delta(tool_calls=(ToolCallDelta(index=0, id="call_a", name="look", arguments='{"at"'),)),
    Delta(tool_calls=(ToolCallDelta(index=0, arguments=':"x"}'),)),
    Delta(tool_calls=(ToolCallDelta(index=1, id="call_b", name="look", arguments="{}"),)),
    Finish(reason="tool_calls", usage=Usage(prompt_tokens=9, completion_tokens=7)),
)


def client(url: str, key: str = "any") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


async def test_a_whole_answer(url: str, engine: FakeEngine) -> None:
    async with client(url) as ai:
        answer = await ai.chat.completions.create(model="guide", messages=ASK)
    assert answer.object == "chat.completion"
    assert answer.model == "guide"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (12, 3, 15)
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    timings = answer.model_extra["timings"]
    assert timings["prompt_n"] == 8
    assert timings["prompt_per_second"] == pytest.approx(32)
    assert timings["predicted_per_second"] == pytest.approx(4)
    assert engine.asked[0][1].messages[0].content == "hi"


async def test_a_stream(url: str, engine: FakeEngine) -> None:
    engine.script = (Prefill(done=4, total=12, cached=4), *HELLO)
    async with client(url) as ai:
        chunks = [
            chunk
            async for chunk in await ai.chat.completions.create(
                model="guide", messages=ASK, stream=True, stream_options={"include_usage": True}
            )
        ]
    *rest, finish, usage = chunks
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert rest[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in rest) == "Hello"
    assert [chunk.choices[0].finish_reason for chunk in rest] == [None] * len(rest)
    assert finish.choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in (*rest, finish))
    assert usage.choices == []
    assert usage.usage.total_tokens == 15


async def test_without_include_usage_no_chunk_is_without_choices(url: str) -> None:
    async with client(url) as ai:
        chunks = [chunk async for chunk in await ai.chat.completions.create(model="", messages=ASK, stream=True)]
    assert all(chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_tool_calls_whole(url: str, engine: FakeEngine) -> None:
    engine.script = CALLS
    async with client(url) as ai:
        answer = await ai.chat.completions.create(model="guide", messages=ASK, tools=TOOLS)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.content is None
    assert message.model_extra["reasoning_content"] == "I must look."
    assert [(call.id, call.type, call.function.name, call.function.arguments) for call in message.tool_calls] == [
        ("call_a", "function", "look", '{"at":"x"}'),
        ("call_b", "function", "look", "{}"),
    ]


async def test_tool_calls_in_a_stream(url: str, engine: FakeEngine) -> None:
    engine.script = CALLS
    async with client(url) as ai, ai.chat.completions.stream(model="guide", messages=ASK, tools=TOOLS) as events:
        final = await events.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert [(call.id, call.function.arguments) for call in calls] == [("call_a", '{"at":"x"}'), ("call_b", "{}")]
    assert final.choices[0].finish_reason == "tool_calls"


async def test_the_synchronous_client(url: str) -> None:
    def ask() -> tuple[str | None, str]:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as ai:
            whole = ai.chat.completions.create(model="guide", messages=ASK)
            stream = ai.chat.completions.create(model="guide", messages=ASK, stream=True)
            return whole.choices[0].message.content, "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert await asyncio.to_thread(ask) == ("Hello", "Hello")


async def test_models(url: str) -> None:
    async with client(url) as ai:
        listed = [model async for model in ai.models.list()]
        one = await ai.models.retrieve("maker/big")
    assert [model.id for model in listed] == ["guide", "maker/big"]
    assert listed[0].model_extra["context_length"] == 4096
    assert one.id == "maker/big"
    assert "context_length" not in one.model_extra


async def test_an_unknown_model(url: str) -> None:
    async with client(url) as ai:
        with pytest.raises(openai.NotFoundError, match="There are guide and maker/big") as caught:
            await ai.chat.completions.create(model="nope", messages=ASK, stream=True)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"


async def test_a_wrong_key_and_the_right_one(serve: Serve) -> None:
    url = await serve(key_hashes=[hash_key("other"), hash_key("right")])
    async with client(url, "wrong") as ai:
        with pytest.raises(openai.AuthenticationError) as caught:
            await ai.models.list()
    assert caught.value.code == "invalid_api_key"
    async with client(url, "right") as ai:
        assert (await ai.models.list()).data[0].id == "guide"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_before_the_first_output_keeps_its_status(url: str, engine: FakeEngine, stream: bool) -> None:
    async with client(url) as ai:
        engine.script = (ContextLengthExceeded.of(context=2048, prompt_tokens=3000),)
        with pytest.raises(openai.BadRequestError, match="maximum context length is 2048 tokens") as caught:
            await ai.chat.completions.create(model="guide", messages=ASK, stream=stream)
        assert caught.value.code == "context_length_exceeded"
        engine.script = (Overloaded("Too many.", retry_after_s=1.2),)
        with pytest.raises(openai.InternalServerError) as busy:
            await ai.chat.completions.create(model="guide", messages=ASK, stream=stream)
    assert busy.value.status_code == 503
    assert busy.value.response.headers["Retry-After"] == "2"
    assert busy.value.type == "server_error"


async def test_an_error_in_mid_stream_reaches_the_client(url: str, engine: FakeEngine) -> None:
    engine.script = (Delta(text="Hel"), WorkerDied("The worker died."))
    text = ""
    async with client(url) as ai:
        with pytest.raises(openai.APIError, match="The worker died"):
            async for chunk in await ai.chat.completions.create(model="guide", messages=ASK, stream=True):
                text += chunk.choices[0].delta.content or ""
    assert text == "Hel"


@pytest.mark.parametrize("script", [(), (Delta(text="x"), Finish(reason="cancelled", usage=FINISH.usage))])
async def test_an_answer_cut_short_is_no_answer(url: str, engine: FakeEngine, script: tuple[Delta, ...]) -> None:
    engine.script = script
    async with client(url) as ai:
        with pytest.raises(openai.InternalServerError, match="cut short"):
            await ai.chat.completions.create(model="guide", messages=ASK)
        with pytest.raises(openai.APIError, match="cut short"):
            async for _ in await ai.chat.completions.create(model="guide", messages=ASK, stream=True):
                pass
