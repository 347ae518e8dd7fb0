"""Saved prefixes through real worker processes: unloaded, killed in the middle of a save, and refused by the disk."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from fixtures.hybrid_model import write_hybrid
from fixtures.shape_model import write_model
from fixtures.waiting import until
from msgspec.structs import replace
from workers import answer, ended, pid_of

from engine.builtin import GUIDE
from engine.fleet.prefix_folder import PrefixFolder
from engine.runtimes.llama_cpp.prefixes import file
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.settings import CacheSettings
from engine.types import GenerateRequest, Hardware, Message, ModelEntry, Sampling
from engine.worker.handle import WorkerHandle

HARDWARE = Hardware(cores=1, threads=1, memory=4_000_000_000, memory_free=4_000_000_000)
LONG = "".join(f"{number} hens in the north and {number * 7} in the inn; " for number in range(90))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many layers: a prompt's state is megabytes, and takes a while to write."""
    return write_model(tmp_path_factory.mktemp("model") / "deep.gguf", context=4096, layers=24)


def worker_on(model: Path, folder: Path, **options: Any) -> WorkerHandle:
    spec = LlamaSpec()
    plan = spec.plan(ModelEntry(id="deep", path=str(model), format="gguf", size=0), HARDWARE, slots=1)
    wishes = {"prefix_folder": str(folder), "prefix_disk": 500_000_000, "prefix_memory": 50_000_000}
    plan = replace(plan, options={**plan.options, **wishes, "prefix_least_s": 0.0, **options})
    log = folder.parent / "worker.log"
    return WorkerHandle(module=spec.worker_module, model="deep", path=str(model), plan=plan, log=log)


@asynccontextmanager
async def started(model: Path, folder: Path, **options: Any) -> AsyncIterator[WorkerHandle]:
    worker = worker_on(model, folder, **options)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


def ask(text: str = LONG) -> GenerateRequest:
    return GenerateRequest(prompt=text, sampling=Sampling(temperature=0.0), max_tokens=12, ignore_eos=True)


def chat(*messages: Message) -> GenerateRequest:
    return GenerateRequest(messages=messages, sampling=Sampling(temperature=0.0), max_tokens=12)


def states(folder: Path) -> list[Path]:
    return list(folder.glob(f"*/*{file.SUFFIX}"))


def parts(folder: Path) -> list[Path]:
    return list(folder.glob(f"*/*{file.PART}"))


async def test_an_unloaded_model_goes_on_where_it_was(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prefixes"
    async with started(model, folder) as worker:
        before, finish = await answer(worker, ask())
    assert finish.usage.cached_tokens == 0
    async with started(model, folder) as worker:
        after, again = await answer(worker, ask())
    assert again.usage.cached_tokens == finish.usage.prompt_tokens - 1
    assert after == before


async def test_what_is_saved_at_rest_survives_a_crash(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prefixes"
    async with started(model, folder) as worker:
        before, _ = await answer(worker, ask())
        await until(lambda: bool(states(folder)))
        psutil.Process(pid_of(worker)).send_signal(signal.SIGKILL)
    async with started(model, folder) as worker:
        after, again = await answer(worker, ask())
    assert again.usage.cached_tokens > 1000 and after == before


async def test_a_kill_in_the_middle_of_a_save_leaves_nothing_harmful(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prefixes"
    expected = ""
    for number in range(8):
        worker = worker_on(model, folder)
        await worker.start()
        pid = pid_of(worker)
        expected, _ = await answer(worker, ask())
        await until(lambda: bool(parts(folder) or states(folder)))
        psutil.Process(pid).send_signal(signal.SIGKILL)
        await until(lambda pid=pid: ended(pid))  # type: ignore[misc]
        await worker.stop()
        if parts(folder):
            break
        for path in states(folder):
            path.unlink()
        assert number < 7, "every write was over before it could be interrupted"
    async with started(model, folder) as worker:
        assert (await answer(worker, ask()))[0] == expected
    PrefixFolder(folder, CacheSettings).prune()
    assert not parts(folder) and len(states(folder)) == 1
    async with started(model, folder) as worker:
        text, finish = await answer(worker, ask())
    assert finish.usage.cached_tokens > 1000 and text == expected


async def test_a_disk_that_refuses_costs_the_cache_alone(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prefixes"
    async with started(model, folder) as worker:
        psutil.Process(pid_of(worker)).rlimit(psutil.RLIMIT_FSIZE, (100_000, 100_000))
        before, _ = await answer(worker, ask())
        log = tmp_path / "worker.log"
        await until(lambda: log.exists() and "cannot be saved" in log.read_text())
        after, again = await answer(worker, ask())
        assert after == before and again.usage.cached_tokens > 1000
    assert not parts(folder) and not states(folder)


async def test_a_request_during_a_save_is_answered(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prefixes"
    async with started(model, folder) as worker:
        await answer(worker, ask())
        await until(lambda: bool(parts(folder) or states(folder)))
        text, _ = await answer(worker, ask("the hen"))
    async with started(model, folder, prefix_disk=0, prefix_memory=0) as worker:
        assert (await answer(worker, ask("the hen")))[0] == text


async def test_a_chat_with_the_built_in_model_goes_on_after_unloading(tmp_path: Path) -> None:
    folder = tmp_path / "prefixes"
    question = Message(role="user", content="What is the KV cache? " * 5)
    async with started(GUIDE, folder) as worker:
        text, first = await answer(worker, chat(question))
    turns = (question, Message(role="assistant", content=text), Message(role="user", content="And a slot?"))
    async with started(GUIDE, folder) as worker:
        restored, second = await answer(worker, chat(*turns))
    async with started(GUIDE, folder, prefix_disk=0, prefix_memory=0) as worker:
        computed, third = await answer(worker, chat(*turns))
    assert second.usage.cached_tokens >= first.usage.prompt_tokens - 1
    assert third.usage.cached_tokens == 0
    assert restored == computed


async def test_a_hybrid_model_is_planned_says_what_it_can_and_goes_on(tmp_path: Path) -> None:
    path = write_hybrid(tmp_path / "hybrid.gguf", context=2048)
    folder = tmp_path / "prefixes"
    question = Message(role="user", content=LONG[:1500])
    async with started(path, folder) as worker:
        assert worker.info.facts is not None and worker.info.facts.prefix_reuse == "checkpoints"
        _, first = await answer(worker, chat(question))
    turns = (question, Message(role="assistant", content="another"), Message(role="user", content="And the hens?"))
    async with started(path, folder) as worker:
        _, second = await answer(worker, chat(*turns))
    assert first.usage.prompt_tokens - 20 <= second.usage.cached_tokens <= first.usage.prompt_tokens
