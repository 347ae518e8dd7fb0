"""TTFT of a long prompt: computed, beside restored by a new worker after the first one was unloaded.

Each round takes a prompt that nobody has seen, computes it, unloads the worker, loads the model again and asks the same
once more. The ratio of both times is the result; loading the model is in neither.

    python benchmarks/prefix.py MODEL.gguf [--prompt TOKENS] [--rounds N] [--threads N]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from common import keep, library
from engine.hardware.detect import detect
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.types import Delta, Finish, GenerateRequest, LoadPlan, ModelEntry, Sampling
from engine.worker.handle import WorkerHandle


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--prompt", type=int, default=8000, help="tokens of the prompt, about")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="the plan's by default")
    return parser.parse_args()


@asynccontextmanager
async def worker(entry: ModelEntry, plan: LoadPlan, folder: Path) -> AsyncIterator[WorkerHandle]:
    """A loaded worker, which is unloaded as the host does it."""
    handle = WorkerHandle(
        module=LlamaSpec.worker_module, model=entry.id, path=entry.path, plan=plan, log=folder / "worker.log"
    )
    await handle.start()
    try:
        yield handle
    finally:
        await handle.stop()


async def ask(handle: WorkerHandle, prompt: str) -> dict[str, Any]:
    """Time to the first token in seconds, the tokens that were reused, and the text."""
    request = GenerateRequest(prompt=prompt, sampling=Sampling(temperature=0.0), max_tokens=8, ignore_eos=True)
    started = time.perf_counter()
    found: dict[str, Any] = {"text": ""}
    async for output in handle.generate(request):
        if isinstance(output, Delta):
            found.setdefault("ttft_s", time.perf_counter() - started)
            found["text"] += output.text
        if isinstance(output, Finish):
            found |= {"tokens": output.usage.prompt_tokens, "cached": output.usage.cached_tokens}
    return found


async def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    spec, hardware = LlamaSpec(), detect()
    entry = ModelEntry(id=args.model.stem, path=str(args.model), format="gguf", size=args.model.stat().st_size)
    plan = spec.plan(entry, hardware, context=args.prompt + 512, slots=1, threads=args.threads)
    states = {"prefix_folder": str(folder / "prefixes"), "prefix_disk": 20_000_000_000, "prefix_memory": 0}
    plan = replace(plan, options={**plan.options, **states})
    rounds = []
    for number in range(args.rounds):
        prompt = f"{time.time_ns()} {number}" + "".join(f" the {word % 10}" for word in range(args.prompt // 3))
        async with worker(entry, plan, folder) as handle:
            cold = await ask(handle, prompt)
            stopping = time.perf_counter()
        unload_s = time.perf_counter() - stopping
        async with worker(entry, plan, folder) as handle:
            warm = await ask(handle, prompt)
        same = cold.pop("text") == warm.pop("text")
        rounds.append({"cold": cold, "restored": warm, "unload_s": unload_s, "same_text": same})
    cold_s, warm_s = (statistics.median(each[kind]["ttft_s"] for each in rounds) for kind in ("cold", "restored"))
    return {
        "model": args.model.name,
        "library": library(),
        "cpu": hardware.cpu,
        "threads": plan.options["threads"],
        "bytes": max(path.stat().st_size for path in (folder / "prefixes").glob("*/*.prefix")),
        "medians": {"cold_s": round(cold_s, 3), "restored_s": round(warm_s, 3)},
        "ratio": round(cold_s / warm_s, 1),
        "rounds": rounds,
    }


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(measure(args, Path(folder)))
    last = result["rounds"][-1]
    print(f"{result['model']}, {result['threads']} threads, {last['cold']['tokens']} prompt tokens")
    print(f"computed {result['medians']['cold_s']} s, restored {result['medians']['restored_s']} s after a reload")
    print(
        f"ratio {result['ratio']}, {last['restored']['cached']} tokens reused, {result['bytes'] / 1e6:.0f} MB on disk"
    )
    print(f"written to {keep(f'prefix-{args.model.stem}', result)}")


if __name__ == "__main__":
    main()
