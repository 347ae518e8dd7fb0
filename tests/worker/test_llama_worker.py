"""The llama.cpp worker as the host has it: a child of its own, asked through its handle."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fixtures.shape_model import write_model

from engine.builtin import GUIDE
from engine.errors import ContextLengthExceeded, CorruptModel, WorkerDied
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.types import Delta, Finish, GenerateRequest, Hardware, Message, ModelEntry, Output, Prefill, Sampling
from engine.worker.handle import WorkerHandle

HARDWARE = Hardware(cores=1, threads=1, memory=4_000_000_000, memory_free=4_000_000_000)
GREEDY = Sampling(temperature=0.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "shape.gguf", context=2048)


def handle(model: Path, folder: Path) -> WorkerHandle:
    spec = LlamaSpec()
    plan = spec.plan(ModelEntry(id="shape", path=str(model), format="gguf", size=0), HARDWARE)
    return WorkerHandle(module=spec.worker_module, model="shape", path=str(model), plan=plan, log=folder / "worker.log")


@asynccontextmanager
async def started(model: Path, folder: Path) -> AsyncIterator[WorkerHandle]:
    worker = handle(model, folder)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def everything(worker: WorkerHandle, request: GenerateRequest) -> tuple[str, Finish]:
    outputs: list[Output] = [output async for output in worker.generate(request)]
    assert isinstance(outputs[-1], Finish)
    return "".join(output.text for output in outputs if isinstance(output, Delta)), outputs[-1]


def ask(text: str, *, max_tokens: int = 16) -> GenerateRequest:
    return GenerateRequest(messages=(Message(role="user", content=text),), sampling=GREEDY, max_tokens=max_tokens)


async def test_a_chat_and_its_second_turn(model: Path, tmp_path: Path) -> None:
    async with started(model, tmp_path) as worker:
        text, first = await everything(worker, ask("the hen " * 30))
        again, second = await everything(worker, ask("the hen " * 30))
    assert text == again
    assert 0 < first.usage.completion_tokens <= 16
    assert first.usage.cached_tokens == 0
    assert second.usage.cached_tokens == second.usage.prompt_tokens - 1


async def test_many_at_once_get_what_they_get_alone(model: Path, tmp_path: Path) -> None:
    texts = [f"number {number} " * (1 + number % 5) for number in range(20)]
    async with started(model, tmp_path) as worker:
        alone = [await everything(worker, ask(text)) for text in texts]
        together = await asyncio.gather(*(everything(worker, ask(text)) for text in texts))
    assert [text for text, _ in together] == [text for text, _ in alone]


async def test_a_long_prompt_tells_how_far_it_is(model: Path, tmp_path: Path) -> None:
    async with started(model, tmp_path) as worker:
        request = ask("in the end " * 150)
        notes = [output async for output in worker.generate(request) if isinstance(output, Prefill)]
    assert notes and notes[-1].total > 1024
    assert [note.done for note in notes] == sorted(note.done for note in notes)


async def test_a_stopped_generation_ends_and_leaves_the_worker_free(model: Path, tmp_path: Path) -> None:
    async with started(model, tmp_path) as worker:
        request = GenerateRequest(prompt="the", sampling=GREEDY, ignore_eos=True)
        stream = worker.generate(request)
        async for output in stream:
            if isinstance(output, Delta):
                break
        await stream.aclose()
        assert (await worker.stats()).running == 0
        assert (await everything(worker, ask("hen")))[1].reason in ("length", "stop")


async def test_a_prompt_over_the_context_is_refused_in_openai_s_words(model: Path, tmp_path: Path) -> None:
    async with started(model, tmp_path) as worker:
        with pytest.raises(ContextLengthExceeded, match="maximum context length is 2048 tokens"):
            await everything(worker, ask("the hen " * 2000))


@pytest.fixture
def damaged(model: Path, tmp_path: Path) -> WorkerHandle:
    """A worker for a file that was cut short after it had been planned."""
    copy = tmp_path / "cut.gguf"
    copy.write_bytes(model.read_bytes())
    worker = handle(copy, tmp_path)
    copy.write_bytes(model.read_bytes()[:-100])
    return worker


async def test_a_damaged_file_is_an_error_of_the_load(damaged: WorkerHandle) -> None:
    with pytest.raises(CorruptModel, match=r"cut\.gguf"):
        await damaged.start()


async def test_a_killed_worker_is_a_typed_end(model: Path, tmp_path: Path) -> None:
    async with started(model, tmp_path) as worker:
        with pytest.raises(WorkerDied):
            async for _ in worker.generate(GenerateRequest(prompt="the", sampling=GREEDY, ignore_eos=True)):
                assert worker.info.pid is not None
                if worker.info.pid:
                    os.kill(worker.info.pid, signal.SIGKILL)


async def test_the_built_in_model_answers(tmp_path: Path) -> None:
    async with started(GUIDE, tmp_path) as worker:
        request = GenerateRequest(messages=(Message(role="user", content="How do I switch the model?"),), max_tokens=80)
        text, finish = await everything(worker, request)
    assert text.strip()
    assert finish.usage.completion_tokens > 3
