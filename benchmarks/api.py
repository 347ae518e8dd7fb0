"""Single-stream decode through the API against llama-bench, on the same file, in turns.

    python benchmarks/api.py MODEL.gguf --llama-bench PATH [--threads N] [--tokens N] [--rounds N]

A real host is started on a home of its own. Each round measures llama-bench's `tg`, then one stream of as many tokens
after a short prompt, timed at the client from its first token to its last. The goal is a ratio of medians of 0.93 at
least. The result is printed and kept in benchmarks/results/.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common import home_paths, keep, make_home, start_host
from engine.client import EngineClient
from engine.errors import FootplateError

GOAL = 0.93


@dataclass(frozen=True)
class Stream:
    """One measured stream."""

    tok_s: float
    """Tokens per second from the first to the last, at the client."""
    worker_tok_s: float | None
    """The same as the worker saw it."""
    ttft_s: float
    events: int


def bench_llama(program: str, model: Path, threads: int, tokens: int) -> float:
    """Tokens per second of llama-bench's generation test, one repetition."""
    arguments = ["-m", str(model), "-t", str(threads), "-p", "0", "-n", str(tokens), "-r", "1", "-o", "json"]
    done = subprocess.run([program, *arguments], check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)[0]["avg_ts"])


def bench_stream(address: str, tokens: int) -> Stream:
    """One streamed answer of exactly `tokens` tokens."""
    body = {
        "messages": [{"role": "user", "content": "Tell me a story."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": tokens,
        "ignore_eos": True,
        "temperature": 0,
    }
    connection = http.client.HTTPConnection(address, timeout=600)
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(answer.read().decode())
    times: list[float] = []
    timings: dict[str, float] = {}
    generated = 0
    while line := answer.readline():
        if not line.startswith(b"data: {"):
            continue
        now, chunk = time.perf_counter(), json.loads(line[6:])
        if "error" in chunk:
            raise SystemExit(chunk["error"]["message"])
        timings = chunk.get("timings", timings)
        if chunk.get("usage"):
            generated = chunk["usage"]["completion_tokens"]
        elif chunk["choices"][0]["delta"].get("content") or chunk["choices"][0]["delta"].get("reasoning_content"):
            times.append(now)
    connection.close()
    return Stream(
        tok_s=(generated - 1) / (times[-1] - times[0]),
        worker_tok_s=timings.get("predicted_per_second"),
        ttft_s=times[0] - began,
        events=len(times),
    )


@contextmanager
def running_host(model: Path, threads: int) -> Iterator[str]:
    """A host that serves `model`; yields host and port of its API."""
    with tempfile.TemporaryDirectory(prefix="fp-") as home:
        make_home(Path(home), model, {"threads": threads})
        try:
            host = start_host(Path(home), model.stem)
        except FootplateError as error:
            raise SystemExit(str(error)) from error
        try:
            yield asyncio.run(api_address(Path(home)))
        finally:
            host.terminate()
            host.wait()


async def api_address(home: Path) -> str:
    """Host and port of the API that the host of `home` serves."""
    client = EngineClient(home_paths(home), kind="script")
    try:
        url = (await client.status()).api.url
    finally:
        await client.close()
    if url is None:
        raise SystemExit("the host does not serve the API")
    return url.removeprefix("http://")


def main() -> None:
    """Measures, prints and keeps the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--llama-bench", default=shutil.which("llama-bench"), required=not shutil.which("llama-bench"))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    model = options.model.resolve()
    rounds: list[tuple[float, Stream]] = []
    with running_host(model, options.threads) as address:
        bench_stream(address, 8)  # loads the model
        for _ in range(options.rounds):
            yardstick = bench_llama(options.llama_bench, model, options.threads, options.tokens)
            rounds.append((yardstick, bench_stream(address, options.tokens)))
            print(f"llama-bench {yardstick:7.1f} tok/s   API {rounds[-1][1].tok_s:7.1f} tok/s", flush=True)
    report(model, options, rounds)


def report(model: Path, options: argparse.Namespace, rounds: list[tuple[float, Stream]]) -> None:
    """Writes the result beside this file."""
    yardstick = statistics.median(bench for bench, _ in rounds)
    api = statistics.median(stream.tok_s for _, stream in rounds)
    result = {
        "model": model.name,
        "bytes": model.stat().st_size,
        "machine": platform.processor() or platform.machine(),
        "threads": options.threads,
        "tokens": options.tokens,
        "load_average": os.getloadavg()[0],
        "llama_bench_tok_s": yardstick,
        "api_tok_s": api,
        "ratio": api / yardstick,
        "goal": GOAL,
        "rounds": [
            {"llama_bench_tok_s": bench, "api_tok_s": stream.tok_s, "worker_tok_s": stream.worker_tok_s}
            | {"ttft_s": stream.ttft_s, "events": stream.events}
            for bench, stream in rounds
        ],
    }
    keep(f"api-{model.stem}", result)
    print(f"ratio of medians {api / yardstick:.3f}, goal {GOAL}")


if __name__ == "__main__":
    main()
