"""Footplate's API beside llama-server: the same requests, in turns, to the same model with the same settings.

    python benchmarks/serving.py MODEL.gguf --llama-server PATH [--only single ttft1500] [--rounds N]
    python benchmarks/serving.py MODEL.gguf --peer http://127.0.0.1:8081 [--threads N --context N --slots N]

Footplate runs on a home of its own. What it was loaded with (threads, context, slots, cells of the KV cache, memory for
saved prompts) is what llama-server is started with. Only one of them works at any time. Times are the client's; all
answers are as long as they were asked to be, and no prompt begins like another. Without a peer Footplate is measured
alone. The result goes to benchmarks/results/, as data and as a table.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from msgspec.structs import replace

import report
from common import RESULTS, keep
from engine.errors import FootplateError
from prompts import Prompts
from rounds import Clock, Outcome, compare, missing
from scenarios import LOOKUP, NAMES, SCENARIOS, STREAMS, Run, Scenario, Sizes, speculation
from servers import Footplate, LlamaServer, RunningServer, Server, Settings

MARGIN = 64
"""Tokens by which a prompt may be longer than it was meant to be."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    peer = parser.add_mutually_exclusive_group()
    peer.add_argument("--llama-server", type=Path, help="the program, of the same llama.cpp; it is started and ended")
    peer.add_argument("--peer", help="address of a llama-server that runs already; it is not restarted")
    parser.add_argument("--only", nargs="+", choices=NAMES, help="some of the scenarios; the result is kept apart")
    parser.add_argument("--rounds", type=_positive, default=5)
    parser.add_argument("--minutes", type=float, default=15.0, help="the rounds end then; 15 by default")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the prompts; the time by default")
    parser.add_argument("--threads", type=_positive, help="the plan's by default")
    parser.add_argument("--context", type=_positive, help="tokens per slot; the plan's by default")
    parser.add_argument("--slots", type=_positive, default=STREAMS, help="as many as there are streams by default")
    parser.add_argument("--single-tokens", type=_several, default=128, help="answer of the single stream")
    parser.add_argument("--streams-tokens", type=_several, default=96, help="answer of each of eight streams")
    parser.add_argument("--mixed-tokens", type=_several, default=32, help="answer of each of eight mixed streams")
    parser.add_argument(
        "--restart-tokens", type=_several, default=8000, help="prompt that is asked for after a restart"
    )
    parser.add_argument("--lookup-tokens", type=_several, default=192, help="answer of the copy-heavy edit")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the result")
    found = parser.parse_args()
    for file in filter(None, [found.model, found.llama_server]):
        if not file.is_file():
            parser.error(f"there is no file {file}")
    return found


def _several(text: str) -> int:
    """A number from 2 on: the rate between the first token and the last one is measured."""
    if (number := int(text)) < 2:
        raise argparse.ArgumentTypeError("must be at least 2")
    return number


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


class Bench:
    """One run: its servers live in `stack`."""

    def __init__(self, args: argparse.Namespace, stack: AsyncExitStack, session: aiohttp.ClientSession) -> None:
        self._args = args
        self._stack = stack
        self._session = session
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fp-")))
        self._clock = Clock(args.minutes * 60)
        self._machine = report.machine()
        sizes = Sizes(
            single=args.single_tokens,
            streams=args.streams_tokens,
            mixed=args.mixed_tokens,
            restart=args.restart_tokens,
            lookup=args.lookup_tokens,
        )
        self._run = Run(session, Prompts(args.seed), sizes)

    async def measure(self) -> report.Result:
        """Everything that was asked for. Raises a `FootplateError` when that fails before anything is measured."""
        footplate = await self._footplate("home", speculation(False))  # which llama-server does not do by default
        await self._run.prompts.calibrate(self._session, footplate.url)
        settings = footplate.settings()
        peer = await self._peer(settings)
        servers = [footplate, peer] if peer else [footplate]
        for server in servers:
            await self._run.warm(server)
        outcomes: list[Outcome] = []
        error = ""
        try:
            async for outcome in self._outcomes(servers, settings):
                outcomes.append(outcome)  # noqa: PERF401 - those before a failure are kept
        except FootplateError as failed:
            if not outcomes:
                raise
            error = str(failed)
        return report.Result(
            model=self._args.model.name,
            bytes=self._args.model.stat().st_size,
            versions=tuple(server.version for server in servers),
            machine=self._machine,
            settings=settings,
            peer_arguments=tuple(peer.arguments()) if isinstance(peer, LlamaServer) else (),
            rounds=self._args.rounds,
            seed=self._args.seed,
            sizes=self._run.sizes,
            seconds=self._clock.passed_s,
            outcomes=tuple(outcomes),
            error=error,
        )

    async def _outcomes(self, servers: Sequence[Server], settings: Settings) -> AsyncIterator[Outcome]:
        """One scenario after the other."""
        for scenario in SCENARIOS:
            if self._wants(scenario):
                yield await self._outcome(scenario, servers, settings)
        for server in servers:
            await server.stop()
        if self._wants(LOOKUP):
            yield await self._lookup(settings)

    async def _footplate(self, home: str, more: dict[str, bool], label: str = "Footplate") -> Footplate:
        args = self._args
        runtime = {"threads": args.threads, "context": args.context, "slots": args.slots, **more}
        server = Footplate(self._folder / home, args.model, runtime, label)
        await self._start(server)
        return server

    async def _peer(self, settings: Settings) -> Server | None:
        if self._args.llama_server:
            log = self._folder / "llama-server.log"
            peer: Server = LlamaServer(self._args.llama_server, self._args.model, settings, log)
        elif self._args.peer:
            peer = RunningServer(self._args.peer, self._args.model, settings)
        else:
            return None
        await self._start(peer)
        return peer

    async def _start(self, server: Server) -> None:
        self._stack.push_async_callback(server.stop)
        await server.start()

    def _wants(self, scenario: Scenario) -> bool:
        return not self._args.only or scenario.name in self._args.only

    async def _outcome(self, scenario: Scenario, servers: Sequence[Server], settings: Settings) -> Outcome:
        needs = scenario.needs(self._run.sizes) + MARGIN
        if settings.context < needs:
            note = f"not measured: it takes {needs:,} tokens of context, and there are {settings.context:,}"
            return missing(scenario, self._run.sizes, note)
        return await compare(self._run, scenario, servers, self._args.rounds, self._clock)

    async def _lookup(self, settings: Settings) -> Outcome:
        """Footplate with prompt-lookup speculation beside Footplate without."""
        if not speculation(True):
            print("lookup: not available in this version")
            return missing(LOOKUP, self._run.sizes, "not available in this version")
        if self._clock.left_s <= 0:
            return missing(LOOKUP, self._run.sizes, "not measured: the time was up")
        switches = {"with": speculation(True), "without": speculation(False)}
        servers = [await self._footplate(label, switch, label) for label, switch in switches.items()]
        for server in servers:
            await self._run.warm(server)
        found = await self._outcome(LOOKUP, servers, settings)
        pairs = list(zip(*found.rounds.values(), strict=True))
        same = sum(first.texts == second.texts for first, second in pairs)
        alike = f"the same answer with and without in {same} of {len(pairs)} rounds" if pairs else ""
        return replace(found, note="; ".join(filter(None, [found.note, alike])))


async def bench(args: argparse.Namespace) -> report.Result:
    """Runs it all; whatever happens, everything that was started has ended when this does."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session, AsyncExitStack() as stack:
        return await Bench(args, stack, session).measure()


def main() -> None:
    args = arguments()
    try:
        result = asyncio.run(bench(args))
    except FootplateError as error:
        raise SystemExit(f"serving.py: {error}") from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(130) from None
    name = "-".join(["serving", args.model.stem, *(args.only or [])])
    place = keep(name, result, args.output)
    print(report.write(result, place))
    print(f"written to {place} and {place.with_suffix('.md').name}")
    if result.error:
        raise SystemExit(f"serving.py: not everything was measured. {result.error}")


if __name__ == "__main__":
    main()
