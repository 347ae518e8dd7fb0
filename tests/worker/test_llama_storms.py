"""Many requests that are begun and called off at any moment: nothing is lost, and nothing is left behind."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from pathlib import Path

import pytest
from fixtures.llama_backend import Outcome, alone, collect, job, load
from fixtures.shape_model import write_model
from msgspec.structs import replace

from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.runtimes.llama_cpp.worker import LlamaBackend
from engine.types import Delta, Finish, GenerateRequest, Hardware, ModelEntry, Prefill, Sampling
from engine.worker.handle import WorkerHandle

HARDWARE = Hardware(cores=1, threads=1, memory=4_000_000_000, memory_free=4_000_000_000)
GREEDY = Sampling(temperature=0.0)
TEXTS = [f"number {number} " + "in the inn " * (number % 7 * 5) for number in range(12)]
CHECK = "the hen and her "


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "deep.gguf", context=4096, layers=12)


def assert_free(backend: LlamaBackend) -> None:
    stats = backend.stats()
    assert (stats.running, stats.waiting) == (0, 0)
    assert not backend.busy
    assert all(slot.sequence is None for slot in backend._stepper._scheduler.slots)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "options",
    [{}, {"n_cells": 700}, {"prefix_memory": 10_000_000, "prefix_least_s": 0.0}],
    ids=["roomy", "tight cache", "saved prefixes"],
)
def test_random_begins_and_cancels_leak_nothing(model: Path, options: dict[str, int], seed: int) -> None:
    dice = random.Random(seed)
    backend = load(model, n_ctx=512, n_seq=4, n_batch=64, n_ubatch=64, **options)
    before = alone(backend, CHECK).tokens
    found: dict[int, Outcome] = {}
    for number in range(150):
        begun = job(backend, dice.choice(TEXTS), number=number, max_tokens=dice.randrange(1, 40))
        found[number] = Outcome()
        backend.add(begun)
        for _ in range(dice.randrange(4)):
            collect(found, backend.step())
        for _ in range(dice.randrange(3)):
            backend.cancel(dice.randrange(number + 1))
    for number in range(150):
        backend.cancel(number)
    assert_free(backend)
    assert any(outcome.finish for outcome in found.values())
    assert not any(outcome.error for outcome in found.values())
    assert alone(backend, CHECK).tokens == before
    assert_free(backend)


@pytest.fixture
async def worker(model: Path, tmp_path: Path) -> WorkerHandle:
    spec = LlamaSpec()
    plan = spec.plan(ModelEntry(id="deep", path=str(model), format="gguf", size=0), HARDWARE, slots=3)
    plan = replace(plan, options={**plan.options, "n_batch": 64, "n_ubatch": 64})
    return WorkerHandle(
        module=spec.worker_module, model="deep", path=str(model), plan=plan, log=tmp_path / "worker.log"
    )


async def said(worker: WorkerHandle, text: str) -> str:
    request = GenerateRequest(prompt=text, sampling=GREEDY, max_tokens=12, ignore_eos=True)
    async with aclosing(worker.generate(request)) as outputs:
        return "".join([output.text async for output in outputs if isinstance(output, Delta)])


async def test_a_storm_of_readers_that_leave(worker: WorkerHandle) -> None:
    """They leave after as many outputs as the dice say; some before the first, some not at all."""
    dice = random.Random(5)

    async def read(number: int) -> bool:
        patience = dice.choice((0, 1, 2, 5, 20, 10_000))
        request = GenerateRequest(
            prompt=dice.choice(TEXTS), sampling=Sampling(seed=number), max_tokens=30, ignore_eos=True
        )
        async with aclosing(worker.generate(request)) as outputs:
            async for output in outputs:
                patience -= 1
                if patience < 0 or isinstance(output, Finish):
                    return patience >= 0
        return False

    await worker.start()
    try:
        before = await said(worker, CHECK)
        async with asyncio.timeout(60):
            stayed = await asyncio.gather(*map(read, range(120)))
        stats = await worker.stats()
        assert (stats.running, stats.waiting) == (0, 0)
        assert 0 < sum(stayed) < 120
        assert await said(worker, CHECK) == before
    finally:
        await worker.stop()


async def test_a_reader_that_leaves_in_mid_prefill_frees_its_slot_within_a_step(worker: WorkerHandle) -> None:
    long = "in the end " * 480
    await worker.start()
    try:
        for _ in range(3):
            async with aclosing(worker.generate(GenerateRequest(prompt=long, sampling=GREEDY))) as outputs:
                async for output in outputs:
                    assert isinstance(output, Prefill)
                    if 0 < output.done < output.total - 1:
                        break
            # asked behind the cancel: between them lies one step at most
            stats = await worker.stats()
            assert (stats.running, stats.waiting) == (0, 0)
            assert 0 < stats.context_used < output.total - 1
            long = "er " + long
        assert len(await said(worker, CHECK)) > 0
    finally:
        await worker.stop()
