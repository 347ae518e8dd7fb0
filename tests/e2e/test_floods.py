"""More requests than are kept, and clients that go away in numbers: real hosts, real workers, over HTTP."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

import aiohttp
import psutil
import pytest
from fixtures.shape_model import write_model
from fixtures.waiting import until
from hosts import model
from programs import api, asked, said

from engine.client import EngineClient
from engine.types import WorkerState

SCRIPT = """
slots = 4
tok_per_s = 50
[[replies]]
match = "for ever"
text = "on and on "
fault = "endless"
"""
MB = 1_000_000


async def quiet(client: EngineClient) -> bool:
    """Whether no request is under way, and the worker knows."""
    status = await client.status()
    return status.requests == 0 and all(worker.state is WorkerState.READY for worker in status.workers)


async def assert_refused(answer: aiohttp.ClientResponse) -> None:
    error = (await answer.json())["error"]
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert (error["type"], error["code"]) == ("server_error", "overloaded")
    assert "64" in error["message"] or "16" in error["message"]


def resident(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


async def test_the_bound_of_the_settings_holds_and_frees_itself(home: Path) -> None:
    model(home, "told", SCRIPT)
    (home / "config").mkdir()
    (home / "config" / "config.toml").write_text("[api]\nmost_requests = 16\n")
    async with asyncio.timeout(90), api() as (client, http):
        body = asked("told", "for ever", stream=True)
        kept = [await http.post("chat/completions", json=body) for _ in range(16)]
        assert {answer.status for answer in kept} == {200}
        memory = resident((await client.status()).pid)
        refused = await asyncio.gather(*(http.post("chat/completions", json=body) for _ in range(184)))
        for answer in refused:
            await assert_refused(answer)
        assert (await client.status()).requests == 16
        assert resident((await client.status()).pid) < memory + 50 * MB
        for answer in kept:
            answer.close()
        await until(lambda: quiet(client), "no request is under way")
        assert await said(http, asked("told", "hello")) == "You said: hello"


async def test_two_hundred_at_once_are_answered_or_told_to_come_again(home: Path) -> None:
    """The model is a real one; clients that wait as they are told are all answered, each with what is its own."""
    (home / "models").mkdir()
    write_model(home / "models" / "shape.gguf", context=512)
    statuses: Counter[int] = Counter()

    async def patient(http: aiohttp.ClientSession, number: int) -> str:
        body = asked("shape", f"number {number % 5}", max_tokens=6, ignore_eos=True)
        while True:
            async with http.post("chat/completions", json=body) as answer:
                statuses[answer.status] += 1
                if answer.status == 200:
                    return str((await answer.json())["choices"][0]["message"]["content"])
                await assert_refused(answer)
                await asyncio.sleep(float(answer.headers["Retry-After"]) * random.uniform(0.5, 1))

    async with asyncio.timeout(110), api() as (client, http):
        alone = [await patient(http, number) for number in range(5)]
        host = (await client.status()).pid
        memory = resident(host)
        together = await asyncio.gather(*(patient(http, number) for number in range(200)))
        assert resident(host) < memory + 100 * MB
        await until(lambda: quiet(client), "no request is under way")
        assert await said(http, asked("shape", "number 0", max_tokens=6, ignore_eos=True)) == alone[0]
    assert together == [alone[number % 5] for number in range(200)]
    assert statuses.keys() == {200, 503}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_storm_of_clients_that_leave(home: Path, stream: bool) -> None:
    """They close their connections at any moment: before the answer, in its midst, while they wait for a slot."""
    (home / "models").mkdir()
    write_model(home / "models" / "shape.gguf", context=2048)
    dice = random.Random(7)

    async def leave(http: aiohttp.ClientSession, number: int) -> None:
        text = "the hen in the north " * dice.randrange(1, 80)
        body = asked("shape", f"{number} {text}", stream=stream, ignore_eos=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(dice.uniform(0, 0.5)), http.post("chat/completions", json=body) as answer:
                await answer.read()

    async with asyncio.timeout(110), api() as (client, http):
        check = asked("shape", "the hen", max_tokens=12, ignore_eos=True)
        before = await said(http, check)
        for _ in range(4):
            await asyncio.gather(*(leave(http, number) for number in range(30)))
        await until(lambda: quiet(client), "no request is under way")
        assert await said(http, check) == before
        (worker,) = (await client.status()).workers
        assert worker.error is None


async def test_a_client_that_leaves_while_its_prompt_is_computed(home: Path) -> None:
    """The prompt would take hours; the next request finds the only slot free."""
    model(home, "slow", "slots = 1\nprefill_tok_per_s = 0.01\n")
    async with asyncio.timeout(90), api() as (client, http):
        for stream in (True, False):
            body = asked("slow", "word " * 50, stream=stream)
            asking = asyncio.create_task(http.post("chat/completions", json=body))

            async def computing() -> bool:
                workers = (await client.status()).workers
                return any(worker.stats and worker.stats.running for worker in workers)

            await until(computing, "the prompt is being computed")
            asking.cancel()
            with suppress(asyncio.CancelledError):
                (await asking).close()
            await until(lambda: quiet(client), "the prompt was given up")
