import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from engine.runtimes.registry import specs
from engine.tools import hub as hub_module
from engine.tools.builtin import built_in_tools
from engine.tools.toolbox import Toolbox
from engine.types import Gpu, Hardware, LoadedFacts, ModelEntry, ToolCall, WorkerInfo, WorkerState

MACHINE = Hardware(
    cpu="AMD EPYC 9B45",
    cores=2,
    memory=int(23.5 * 2**30),
    memory_free=int(20.1 * 2**30) + 1,
    gpus=(Gpu(name="NVIDIA H200", index=0, memory=140 * 2**30),),
)
MODELS = (
    ModelEntry(id="qwen", path="/q.gguf", format="gguf", size=4_940_000_000, runtimes=("llama_cpp",)),
    ModelEntry(id="guide", path="/g.gguf", format="gguf", size=6_100_000, quantization="Q8_0", runtimes=("llama_cpp",)),
    *(
        ModelEntry(id=f"more-{i}", path="/m", format="gguf", size=12_000, quantization="Q4_0", runtimes=("llama_cpp",))
        for i in range(5)
    ),
)


def tools() -> Toolbox:
    facts = LoadedFacts(context=2048, slots=4, device="CPU")
    worker = WorkerInfo(model="guide", runtime="llama_cpp", state=WorkerState.READY, facts=facts)
    return built_in_tools(lambda: MACHINE, lambda: MODELS, lambda: [worker], specs())


async def call(name: str, arguments: str = "{}") -> dict[str, object]:
    result: dict[str, object] = json.loads(await tools().call(ToolCall(id="1", name=name, arguments=arguments)))
    return result


async def test_the_hardware_is_told_in_the_shape_that_guide_learned() -> None:
    assert await call("get_hardware") == {
        "cpu": "AMD EPYC 9B45",
        "cores": 2,
        "memory_gib": 23.5,
        "memory_free_gib": 20.1,
        "gpus": [{"name": "NVIDIA H200", "memory_gib": 140.0, "memory_free_gib": None}],
        "runtimes": ["llama.cpp"],
    }


async def test_the_models_are_told_loaded_ones_first() -> None:
    assert await call("list_models") == {
        "count": 7,
        "loaded": ["guide"],
        "models": [
            {"name": "guide", "quantization": "Q8_0", "size": "6.1 MB"},
            {"name": "qwen", "quantization": "unknown", "size": "4.9 GB"},
            *({"name": f"more-{number}", "quantization": "Q4_0", "size": "12.0 kB"} for number in range(3)),
        ],
        "others": ["more-3", "more-4"],
    }


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("get_hardware", "not json"), ("search_models", "[]"), ("search_models", "{}"), ("rm", "{}")],
)
async def test_a_wrong_call_is_answered_not_raised(name: str, arguments: str) -> None:
    assert list(await call(name, arguments)) == ["error"]


Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def hub(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/api/models", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def answer(request: web.Request) -> web.Response:
    assert request.query["search"] == "qwen3"
    return web.json_response([{"id": "Qwen/Qwen3-8B-GGUF", "downloads": 1234}])


async def test_the_hub_is_searched_by_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hub(answer) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        found = await call("search_models", '{"query": " qwen3 "}')
    assert found == {"query": "qwen3", "models": [{"name": "Qwen/Qwen3-8B-GGUF", "downloads": 1234}]}


async def test_a_hub_out_of_reach_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hub(answer) as address:
        pass
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert await call("search_models", '{"query": "x"}') == {
        "error": "The Hugging Face Hub cannot be reached from here."
    }


async def test_a_silent_hub_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()
    released = asyncio.Event()

    async def silent(request: web.Request) -> web.Response:
        asked.set()
        await released.wait()
        return web.json_response([])

    await asyncio.to_thread(importlib.import_module, "huggingface_hub.hf_api")  # its import is not what is timed here
    monkeypatch.setattr(hub_module, "SEARCH_S", 1.0)
    async with hub(silent) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        found = await call("search_models", '{"query": "x"}')
        released.set()
    assert asked.is_set()
    assert list(found) == ["error"]
