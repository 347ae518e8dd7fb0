"""A stream on the wire: its form, its heartbeats, its ends, and clients that go away or do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import aiohttp
import pytest
from fake import FINISH, HELLO, FakeEngine, Serve
from fixtures.waiting import until

from engine.api.limits import Admission
from engine.api.sse import Pace
from engine.errors import WorkerDied
from engine.types import Delta

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "stream": True}


async def events(answer: aiohttp.ClientResponse) -> list[Any]:
    """Every event of a whole stream, decoded but for the end mark."""
    lines = [line for line in (await answer.text()).split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    return [text if text == "[DONE]" else json.loads(text) for text in (line[6:] for line in lines)]


async def test_a_stream_is_an_event_stream_with_an_end_mark(url: str, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{url}/v1/chat/completions", json=ASK) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        opening, one, two, last, done = await events(answer)
    assert opening["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["delta"] for chunk in (one, two, last)] == [{"content": "Hel"}, {"content": "lo"}, {}]
    assert last["timings"]["queued_ms"] == 500
    assert done == "[DONE]"


async def test_text_of_any_kind_survives(url: str, http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    text = 'é"\\\n\r\x00\u2028😀'
    engine.script = (Delta(text=text), Delta(), FINISH)
    async with http.post(f"{url}/v1/chat/completions", json=ASK) as answer:
        chunks = await events(answer)
    assert [chunk["choices"][0]["delta"] for chunk in chunks[1:-2]] == [{"content": text}]


async def test_silence_is_filled_with_empty_chunks(
    serve: Serve, http: aiohttp.ClientSession, engine: FakeEngine
) -> None:
    go_on = asyncio.Event()
    engine.script = (go_on, *HELLO)
    url = await serve(pace=Pace(commit_s=0.05, heartbeat_s=0.05))
    async with asyncio.timeout(30), http.post(f"{url}/v1/chat/completions", json=ASK) as answer:
        lines = [await answer.content.readuntil(b"\n\n") for _ in range(4)]
        go_on.set()
        rest = await answer.text()
    assert [json.loads(line[6:])["choices"][0]["delta"] for line in lines[1:]] == [{}, {}, {}]
    assert '"Hel"' in rest
    assert rest.endswith("data: [DONE]\n\n")


async def test_a_failure_in_mid_stream_is_an_event_and_no_end_mark_follows(
    url: str, http: aiohttp.ClientSession, engine: FakeEngine
) -> None:
    engine.script = (Delta(text="x"), WorkerDied("The worker died.", remedy="Try again."))
    async with http.post(f"{url}/v1/chat/completions", json=ASK) as answer:
        assert answer.status == 200
        *_, said, error = await events(answer)
    assert said["choices"][0]["delta"] == {"content": "x"}
    assert error["error"]["code"] == "worker_died"
    assert error["error"]["message"] == "The worker died. Try again."


async def test_a_fault_of_ours_in_mid_stream_is_an_event_without_details(
    url: str, http: aiohttp.ClientSession, engine: FakeEngine
) -> None:
    engine.script = (Delta(text="x"), ZeroDivisionError("secret detail"))
    async with http.post(f"{url}/v1/chat/completions", json=ASK) as answer:
        text = await answer.text()
    assert '"internal_error"' in text
    assert "secret detail" not in text


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("began", [True, False])
async def test_a_client_that_leaves_ends_the_generation(
    serve: Serve, engine: FakeEngine, stream: bool, began: bool
) -> None:
    started, admission = asyncio.Event(), Admission()
    engine.script = (Delta(text="x"), asyncio.Event()) if began else (asyncio.Event(),)
    url = await serve(admission=admission, pace=Pace(commit_s=0.05))
    async with asyncio.timeout(30), aiohttp.ClientSession() as leaving:

        async def ask() -> None:
            async with leaving.post(f"{url}/v1/chat/completions", json={**ASK, "stream": stream}) as answer:
                await answer.content.readuntil(b"\n\n")
                started.set()
                await answer.read()

        asking = asyncio.create_task(ask())
        await (started if stream else engine.began).wait()
        asking.cancel()
        await asyncio.wait([asking])
        await engine.closed.wait()
        assert engine.yielded == began
        await until(lambda: not admission.active, "no request counts as active")


async def test_a_client_that_does_not_read_holds_the_generation_back_and_is_dropped(
    serve: Serve, engine: FakeEngine
) -> None:
    engine.script = [Delta(text="x" * 10_000)] * 20_000 + [FINISH]
    url = await serve(pace=Pace(stall_s=0.5))
    _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]), limit=1)
    body = json.dumps(ASK).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
    writer.write(body)
    async with asyncio.timeout(60):
        await engine.closed.wait()
    assert 0 < engine.yielded < 10_000
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_above_the_limit_requests_are_refused_with_a_time_to_wait(
    serve: Serve, http: aiohttp.ClientSession, engine: FakeEngine
) -> None:
    go_on = asyncio.Event()
    engine.script = (Delta(text="x"), go_on, FINISH)
    url = await serve(admission=Admission(most=1, retry_after_s=3))
    async with http.post(f"{url}/v1/chat/completions", json=ASK) as first:
        async with http.post(f"{url}/v1/chat/completions", json=ASK) as second:
            assert second.status == 503
            assert second.headers["Retry-After"] == "3"
            assert (await second.json())["error"]["code"] == "overloaded"
        go_on.set()
        assert (await first.text()).endswith("data: [DONE]\n\n")
    async with http.post(f"{url}/v1/chat/completions", json=ASK) as third:
        assert third.status == 200
