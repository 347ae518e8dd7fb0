"""What programs that are not the `openai` package may send, and what they get."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from fake import FakeEngine, Serve

ASK = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_every_path_answers_with_and_without_the_version(
    url: str, http: aiohttp.ClientSession, prefix: str
) -> None:
    for path in ("/models", "/models/guide", "/health", "/openapi.json"):
        async with http.get(f"{url}{prefix}{path}") as answer:
            assert answer.status == 200
            assert answer.content_type == "application/json"
    async with http.post(f"{url}{prefix}/chat/completions", json=ASK) as answer:
        assert (await answer.json())["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize("model", [{}, {"model": ""}, {"model": None}, {"model": "guide"}])
async def test_without_a_model_the_active_one_answers(
    url: str, http: aiohttp.ClientSession, engine: FakeEngine, model: dict[str, str | None]
) -> None:
    async with http.post(f"{url}/v1/chat/completions", json={**ASK, **model}) as answer:
        assert (await answer.json())["model"] == "guide"
    assert engine.asked[0][0] == "guide"


@pytest.mark.parametrize("model", ["maker/big", "maker%2Fbig"])
async def test_an_id_may_have_slashes(url: str, http: aiohttp.ClientSession, model: str) -> None:
    async with http.get(f"{url}/v1/models/{model}") as answer:
        assert (await answer.json())["id"] == "maker/big"


async def test_unknown_paths_and_wrong_methods_are_answered_in_json(url: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{url}/v1/nothing") as answer:
        assert answer.status == 404
        assert "/v1/nothing" in (await answer.json())["error"]["message"]
    async with http.put(f"{url}/v1/chat/completions", json=ASK) as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"
        assert (await answer.json())["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 300_000, b'{"messages": [{"role": "user"'])
async def test_malformed_bodies_are_refused(url: str, http: aiohttp.ClientSession, body: bytes) -> None:
    async with http.post(f"{url}/v1/chat/completions", data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["type"] == "invalid_request_error"


async def test_a_body_that_is_too_large_is_refused_in_words(url: str, http: aiohttp.ClientSession) -> None:
    async def zeros() -> bytes:
        for _ in range(33):
            yield bytes(2**20)

    async with http.post(f"{url}/v1/chat/completions", data=zeros()) as answer:
        assert answer.status == 413
        assert "32 MiB" in (await answer.json())["error"]["message"]


async def test_a_fault_of_ours_shows_no_traceback(
    url: str, http: aiohttp.ClientSession, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.script = (ZeroDivisionError("secret detail"),)
    for stream in (False, True):
        async with http.post(f"{url}/v1/chat/completions", json={**ASK, "stream": stream}) as answer:
            assert answer.status == 500
            text = await answer.text()
        assert "secret detail" not in text
        assert json.loads(text)["error"]["type"] == "server_error"
    assert "secret detail" in caplog.text


async def test_what_users_write_is_not_logged(
    url: str, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    private = {"messages": [{"role": "user", "content": "my private words"}]}
    async with http.post(f"{url}/v1/chat/completions", json=private) as answer:
        assert answer.status == 200
    assert "my private words" not in caplog.text


async def test_headers_that_do_not_come_are_not_waited_for(serve: Serve) -> None:
    url = await serve(idle_s=0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: loc")
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
