"""Who may ask: keys, host names, origins."""

from __future__ import annotations

import socket
from pathlib import Path

import aiohttp
import pytest
from fake import FakeEngine, Serve

from engine.api.app import build_app
from engine.api.auth import hash_key, key_matches
from engine.api.listener import Listener
from engine.errors import PortTaken, StartError
from engine.types import WorkerInfo, WorkerState


def test_a_hash_is_salted_and_does_not_show_the_key() -> None:
    one, other = hash_key("secret"), hash_key("secret")
    assert one != other
    assert "secret" not in one
    assert key_matches("secret", [one])
    assert not key_matches("Secret", [one, other])
    assert not key_matches("", ["", "sha256$$", "plain"])


@pytest.mark.parametrize("sent", [{}, {"Authorization": "Bearer nope"}, {"Authorization": "Basic right"}])
async def test_without_the_key_only_health_answers(
    serve: Serve, http: aiohttp.ClientSession, sent: dict[str, str]
) -> None:
    url = await serve(key_hashes=[hash_key("right")])
    async with http.get(f"{url}/v1/models", headers=sent) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert (await answer.json())["error"]["code"] == "invalid_api_key"
    async with http.get(f"{url}/health", headers=sent) as answer:
        assert answer.status == 200


async def test_health_tells_of_a_crashed_worker(url: str, http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    async with http.get(f"{url}/health") as answer:
        assert await answer.json() == {"status": "ok", "model": "guide"}
    engine.workers = (WorkerInfo(model="guide", runtime="llama_cpp", state=WorkerState.CRASHED),)
    async with http.get(f"{url}/health") as answer:
        assert answer.status == 503
        assert (await answer.json())["status"] == "error"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("192.168.1.9:8080", 200),
        ("box.example", 200),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("", 403),
        ("[", 403),
    ],
)
async def test_the_host_header(serve: Serve, http: aiohttp.ClientSession, host: str, status: int) -> None:
    url = await serve(names=["Box.example"])
    async with http.get(f"{url}/v1/models", headers={"Host": host}) as answer:
        assert answer.status == status


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_pages_of_other_origins_are_refused(url: str, http: aiohttp.ClientSession, origin: str) -> None:
    ask = {"messages": [{"role": "user", "content": "x"}]}
    async with http.post(f"{url}/v1/chat/completions", json=ask, headers={"Origin": origin}) as answer:
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with http.options(f"{url}/v1/chat/completions", headers=preflight) as answer:
        assert answer.status == 403
    async with http.get(f"{url}/v1/models", headers={"Origin": url}) as answer:
        assert answer.status == 200


async def test_a_websocket_of_a_foreign_page_is_refused(engine: FakeEngine, http: aiohttp.ClientSession) -> None:
    async def events(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        await socket.close()
        return socket

    app = build_app(engine, local=True)
    app.router.add_get("/events", events)
    listener = await Listener.tcp(app, "127.0.0.1", 0)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(f"{listener.url}/events", origin="https://evil.example")
    assert caught.value.status == 403
    async with http.ws_connect(f"{listener.url}/events"):
        pass
    await listener.close()


async def test_the_unix_socket_asks_for_neither_key_nor_host(engine: FakeEngine, home: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(home / "s"))
    app = build_app(engine, local=True, key_hashes=[hash_key("x")])
    listener = await Listener.on(app, listening, home / "s")
    connector = aiohttp.UnixConnector(str(home / "s"))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.get("http://anything/v1/models") as answer,
    ):
        assert answer.status == 200
    await listener.close()


async def test_a_taken_port_is_said(engine: FakeEngine, url: str) -> None:
    with pytest.raises(PortTaken, match="in use"):
        await Listener.tcp(build_app(engine, local=False), "127.0.0.1", int(url.rpartition(":")[2]))
    with pytest.raises(StartError, match="cannot listen"):
        await Listener.tcp(build_app(engine, local=False), "192.0.2.1", 0)
