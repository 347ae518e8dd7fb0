"""Decode and prefill of a llama.cpp worker beside llama-bench: same file, same threads, same run.

The rounds of both alternate, so that what else the machine does meets both; the medians' ratio is the result, the
speeds themselves are only what this machine gave while it ran.

    python benchmarks/decode.py MODEL.gguf --llama-bench PATH [--threads N] [--rounds N] [--prompt N] [--generate N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from common import keep, library
from engine.hardware.detect import detect
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.types import Finish, GenerateRequest, ModelEntry, Sampling
from engine.worker.handle import WorkerHandle

GOAL = 0.95
"""Of llama-bench's speed, which neither samples nor makes text."""
SAMPLINGS = {"greedy": Sampling(temperature=0.0), "sampled": Sampling(temperature=0.8, top_k=40, top_p=0.95)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--llama-bench", type=Path, required=True, help="the program, of the same llama.cpp")
    parser.add_argument("--threads", type=int, help="threads of both; the plan's by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512, help="tokens of prefill")
    parser.add_argument("--generate", type=int, default=64, help="tokens of decode")
    return parser.parse_args()


def yardstick(args: argparse.Namespace, threads: int) -> dict[str, float]:
    """llama-bench's tokens per second, once."""
    command = [args.llama_bench, "-m", args.model, "-t", threads, "-p", args.prompt, "-n", args.generate]
    command += ["-r", 1, "-o", "json"]
    output = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout
    tests = json.loads(output)
    return {"prefill" if test["n_prompt"] else "decode": float(test["avg_ts"]) for test in tests}


async def finish_of(worker: WorkerHandle, request: GenerateRequest) -> Finish:
    async for output in worker.generate(request):
        if isinstance(output, Finish):
            return output
    raise AssertionError("a generation ended without its finish")


async def worker_speeds(worker: WorkerHandle, args: argparse.Namespace, number: int) -> dict[str, float]:
    """The worker's tokens per second, once, by its own timings; no prompt shares a beginning with another."""
    found = {}
    request = GenerateRequest(
        prompt=f"{number}" + " the" * (args.prompt - 1), sampling=SAMPLINGS["greedy"], max_tokens=1
    )
    done = await finish_of(worker, request)
    found["prefill"] = (done.usage.prompt_tokens - done.usage.cached_tokens) / done.timings.prefill_s
    for name, sampling in SAMPLINGS.items():
        prompt = f"{number} {name}"
        request = GenerateRequest(prompt=prompt, sampling=sampling, max_tokens=args.generate, ignore_eos=True)
        done = await finish_of(worker, request)
        found[name] = (done.usage.completion_tokens - 1) / done.timings.decode_s
    return found


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All rounds, and their medians."""
    spec = LlamaSpec()
    hardware = detect()
    entry = ModelEntry(id=args.model.stem, path=str(args.model), format="gguf", size=args.model.stat().st_size)
    plan = spec.plan(entry, hardware, threads=args.threads)
    plan = replace(plan, options={**plan.options, "speculation": "off"})  # llama-bench guesses nothing either
    threads = plan.options["threads"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "worker.log"
        worker = WorkerHandle(module=spec.worker_module, model=entry.id, path=entry.path, plan=plan, log=log)
        facts = await worker.start()
        ours, theirs = [], []
        try:
            await worker_speeds(worker, args, 0)
            for number in range(1, args.rounds + 1):
                theirs.append(await asyncio.to_thread(yardstick, args, threads))
                ours.append(await worker_speeds(worker, args, number))
        finally:
            await worker.stop()
    return {
        "model": args.model.name,
        "library": library(),
        "cpu": hardware.cpu,
        "threads": threads,
        "rounds": args.rounds,
        "prompt": args.prompt,
        "generate": args.generate,
        "context": facts.context,
        "medians": {"llama-bench": medians(theirs), "worker": medians(ours)},
        "raw": {"llama-bench": theirs, "worker": ours},
        "facts": msgspec.to_builtins(facts),
    }


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(each[name] for each in rounds), 1) for name in rounds[0]}


def ratios(result: dict[str, Any]) -> dict[str, float]:
    """The worker's medians over llama-bench's."""
    theirs, ours = result["medians"]["llama-bench"], result["medians"]["worker"]
    return {name: round(speed / theirs.get(name, theirs["decode"]), 3) for name, speed in ours.items()}


def main() -> None:
    args = arguments()
    result = asyncio.run(measure(args))
    result["ratios"] = ratios(result)
    theirs, ours = result["medians"]["llama-bench"], result["medians"]["worker"]
    print(f"{result['model']}, {result['threads']} threads, {result['cpu']}, medians of {result['rounds']} rounds")
    print(f"{'':12}{'llama-bench':>12}{'worker':>12}{'ratio':>8}   (tokens per second)")
    for name, speed in ours.items():
        ratio = result["ratios"][name]
        verdict = "" if ratio >= GOAL else f"   below the goal of {GOAL}"
        print(f"{name:12}{theirs.get(name, theirs['decode']):12.1f}{speed:12.1f}{ratio:8.3f}{verdict}")
    print(f"written to {keep(f'decode-{args.model.stem}', result)}")


if __name__ == "__main__":
    main()
