"""Prompts outlive the worker, a swap of models, and the host: real hosts, real models, chat turns."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from fixtures.shape_model import write_model
from fixtures.waiting import until
from hosts import attached, host_process, kill, watching

from engine.client import EngineClient
from engine.paths import Paths
from engine.types import ChatMessage

LONG = "".join(f"{number} hens in the north and {number * 7} in the inn; " for number in range(40))
SETTINGS = "[cache]\nprefix_least_s = 0\n{}[runtime]\nslots = 1\nthreads = 1\n"


@pytest.fixture
def shapes(home: Path) -> Path:
    """A home with two models, and every prompt worth saving."""
    (home / "models").mkdir()
    write_model(home / "models" / "first.gguf", context=2048)
    write_model(home / "models" / "second.gguf", context=2048, scale=0.36)
    configure(home)
    return home


def configure(home: Path, more: str = "") -> None:
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "config.toml").write_text(SETTINGS.format(more))


def states() -> list[Path]:
    return list(Paths.find(os.environ).prefixes.glob("*/*.prefix"))


async def cached(client: EngineClient, model: str = "first") -> tuple[int, int]:
    """Asks the long question in a new conversation: tokens of the prompt that were reused, and all of them."""
    async with watching(client) as watcher:
        turn = await client.send_turn(LONG, model=model)
        done: ChatMessage = await watcher.finished(turn.message)
    assert done.finish is not None, done.error
    return done.finish.usage.cached_tokens, done.finish.usage.prompt_tokens


async def test_after_unloading_and_after_a_restart_of_the_host(shapes: Path) -> None:
    async with attached() as client:
        assert (await cached(client))[0] == 0
        await client.unload_model("first")
        reused, prompt = await cached(client)
        assert reused == prompt - 1 > 1000
    async with attached() as client:
        assert await cached(client) == (reused, prompt)
    folder = Paths.find(os.environ).prefixes
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in states())


async def test_after_another_model_was_used_and_the_host_was_killed(shapes: Path) -> None:
    async with attached() as client:
        await cached(client)
        await client.unload_model("first")
        assert (await cached(client, "second"))[0] == 0
        await until(lambda: len({path.parent for path in states()}) == 2, "both models have saved")
        kill(host_process())
    async with attached() as client:
        for model in ("first", "second"):
            reused, prompt = await cached(client, model)
            assert reused == prompt - 1


async def test_zero_switches_it_off_and_removes_what_is_there(shapes: Path) -> None:
    async with attached() as client:
        await cached(client)
    assert states()
    configure(shapes, "prefix_disk_gb = 0\n")
    async with attached() as client:
        await until(lambda: not states(), "the saved states are gone")
        await cached(client)
        await client.unload_model("first")
        assert (await cached(client))[0] == 0
    assert not states()


async def test_the_budget_holds_over_all_models(shapes: Path) -> None:
    async with attached() as client:
        await cached(client)
        await client.unload_model("first")
        (one,) = states()
        size = one.stat().st_size
    configure(shapes, f"prefix_disk_gb = {size * 1.5 / 1e9}\n")
    async with attached() as client:
        await cached(client, "second")
        await client.unload_model("second")
        await until(lambda: one not in states(), "the older state has gone")
        assert sum(path.stat().st_size for path in states()) <= size * 1.5
        assert (await cached(client, "second"))[0] > 1000
