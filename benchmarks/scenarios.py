"""What is measured: one round of each scenario on one server."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import aiohttp
import msgspec
import psutil

import sse
from engine.settings import RuntimeSettings
from prompts import Prompts
from servers import Server

STREAMS = 8
MIXED = (50, 2000, 100, 1600, 200, 1200, 400, 800)
"""Prompt tokens of eight requests that come at once."""
SHORT = 48
"""Prompt tokens where the decode rate is what counts."""
EDIT = 1300
"""Prompt tokens of the edit."""
SPECULATION = "speculation"
FEW = 16
"""Tokens of an answer of which the first one counts."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much each scenario asks for, in tokens."""

    single: int
    """Answer of the single stream."""
    streams: int
    """Answer of each of eight streams."""
    mixed: int
    """Answer of each of eight mixed streams."""
    restart: int
    """Prompt that is asked for again after a restart."""
    lookup: int
    """Answer of the edit."""


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One round on one server."""

    value: float | None
    """In the scenario's unit; `None` where it could not be read."""
    ttft_s: tuple[float, ...] = ()
    tok_s: tuple[float | None, ...] = ()
    told_tok_s: tuple[float | None, ...] = ()
    """Decode rates by the server's own account."""
    prompt_tokens: tuple[int, ...] = ()
    cached_tokens: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    accepted_tokens: tuple[int, ...] = ()
    """Of the answers, what had been guessed ahead."""
    pss: int | None = None
    """Bytes, each shared page counted in part."""
    uss: int | None = None
    """Bytes of no other process."""
    first_ttft_s: float | None = None
    """TTFT of the same prompt before the restart."""
    texts: tuple[str, ...] = ()
    """The beginning of each answer's hash: the likeliest tokens make equal texts, but for the last bits of logits."""


class Run:
    """What all scenarios work with."""

    def __init__(self, session: aiohttp.ClientSession, prompts: Prompts, sizes: Sizes) -> None:
        self.prompts = prompts
        self.sizes = sizes
        self._session = session

    async def ask(self, server: Server, bodies: Sequence[bytes]) -> list[sse.Reply]:
        """Asks all at once and waits for every answer. Raises `HostUnreachable`."""
        return await sse.ask(self._session, server.url, bodies)

    async def warm(self, server: Server) -> None:
        """Asks for something of every kind; nobody counts it."""
        short = [self.prompts.request(f"warm {stream}", SHORT, 8) for stream in range(STREAMS)]
        await self.ask(server, short)
        await self.ask(server, [self.prompts.request("warm long", 600, 8)])
        await server.at_rest()


async def single(run: Run, server: Server, number: int) -> Sample:
    """Tokens per second of one stream."""
    replies = await run.ask(server, [run.prompts.request(f"single {number}", SHORT, run.sizes.single)])
    return _sample(replies[0].tok_s, replies)


async def streams8(run: Run, server: Server, number: int) -> Sample:
    """Tokens per second of eight streams together, from the first request to the last token."""
    names = [f"streams8 {number} {stream}" for stream in range(STREAMS)]
    replies = await run.ask(server, [run.prompts.request(name, SHORT, run.sizes.streams) for name in names])
    seconds = max(each.last for each in replies) - min(each.began for each in replies)
    return _sample(sum(each.tokens for each in replies) / seconds, replies)


async def ttft1500(run: Run, server: Server, number: int) -> Sample:
    """Seconds to the first token of a prompt of 1,500."""
    replies = await run.ask(server, [run.prompts.request(f"ttft1500 {number}", 1500, FEW)])
    return _sample(replies[0].ttft_s, replies)


async def mixed8(run: Run, server: Server, number: int) -> Sample:
    """The 95th percentile of TTFT in seconds over eight streams with prompts of 50 to 2,000 tokens."""
    bodies = [run.prompts.request(f"mixed8 {number} {length}", length, run.sizes.mixed) for length in MIXED]
    replies = await run.ask(server, bodies)
    return _sample(percentile95([each.ttft_s for each in replies]), replies)


async def memory(run: Run, server: Server, number: int) -> Sample:
    """Resident bytes of the process that holds the model, at rest after eight mixed streams."""
    await mixed8(run, server, -1 - number)
    await server.at_rest()
    if server.pid is None:
        return Sample(value=None)
    size = psutil.Process(server.pid).memory_full_info()
    return Sample(value=size.rss, pss=getattr(size, "pss", None), uss=size.uss)


async def restart(run: Run, server: Server, number: int) -> Sample:
    """Seconds to the first token of a long prompt, asked for again by a server that was restarted in between.

    Loading the model is not in it. Where the server cannot be restarted, the prompt is asked for once: a llama-server
    that saves no slots knows as much of it then.
    """
    request = run.prompts.request(f"restart {number}", run.sizes.restart, FEW)
    first = None
    if server.restarts:
        first = (await run.ask(server, [request]))[0].ttft_s
        await server.at_rest()
        await server.stop()
        await server.start()
        await server.at_rest()
    replies = await run.ask(server, [request])
    return msgspec.structs.replace(_sample(replies[0].ttft_s, replies), first_ttft_s=first)


async def lookup(run: Run, server: Server, number: int) -> Sample:
    """Tokens per second of an answer that mostly repeats its prompt."""
    replies = await run.ask(server, [run.prompts.edit(f"edit {number}", EDIT, run.sizes.lookup)])
    return _sample(replies[0].tok_s, replies)


def speculation(wanted: bool) -> dict[str, bool]:
    """The setting in `[runtime]` that switches prompt-lookup speculation; none where this version has none."""
    return {SPECULATION: wanted} if SPECULATION in RuntimeSettings.__struct_fields__ else {}


def percentile95(values: Sequence[float]) -> float:
    """The 95th percentile, interpolated."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def _pooled95(samples: Sequence[Sample]) -> float:
    return percentile95([ttft for sample in samples for ttft in sample.ttft_s])


def _needs_mixed(sizes: Sizes) -> int:
    return max(MIXED) + sizes.mixed


def _median(samples: Sequence[Sample]) -> float | None:
    values = [sample.value for sample in samples if sample.value is not None]
    return statistics.median(values) if values else None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something measured, and the goal of its ratio."""

    name: str
    what: str
    unit: str
    goal: float
    measure: Callable[[Run, Server, int], Awaitable[Sample]]
    needs: Callable[[Sizes], int]
    """Tokens of its longest prompt with the answer."""
    at_most: bool = False
    """The ratio may not exceed the goal, which it has to reach otherwise."""
    inverse: bool = False
    """The ratio is the second server's value over the first's: how many times faster."""
    rounds: int | None = None
    """Where one number says it."""
    gather: Callable[[Sequence[Sample]], float | None] = _median

    def title(self, sizes: Sizes) -> str:
        """What is measured, with its size."""
        return self.what.format(restart=sizes.restart)

    def met(self, ratio: float) -> bool:
        """Whether the goal is met."""
        return ratio <= self.goal if self.at_most else ratio >= self.goal


SCENARIOS = (
    Scenario("single", "decode, one stream", "tok/s", 0.97, single, lambda sizes: SHORT + sizes.single),
    Scenario("streams8", "decode, 8 streams together", "tok/s", 0.97, streams8, lambda sizes: SHORT + sizes.streams),
    Scenario("ttft1500", "TTFT, 1,500 tokens", "s", 1.05, ttft1500, lambda _: 1500 + FEW, at_most=True),
    Scenario("mixed8", "TTFT p95, 8 mixed streams", "s", 1.0, mixed8, _needs_mixed, at_most=True, gather=_pooled95),
    Scenario("memory", "resident memory", "bytes", 1.10, memory, _needs_mixed, at_most=True, rounds=1),
    Scenario(
        *("restart", "TTFT after a restart, {restart:,} tokens", "s", 10.0, restart),
        lambda sizes: sizes.restart + FEW,
        inverse=True,
    ),
)
LOOKUP = Scenario(
    *("lookup", "copy-heavy edit with prompt-lookup, and without", "tok/s", 1.5, lookup),
    lambda sizes: EDIT + sizes.lookup,
)
"""Footplate beside itself."""
NAMES = tuple(each.name for each in (*SCENARIOS, LOOKUP))


def _sample(value: float | None, replies: Sequence[sse.Reply]) -> Sample:
    return Sample(
        value=value,
        ttft_s=tuple(round(each.ttft_s, 4) for each in replies),
        tok_s=tuple(each.tok_s and round(each.tok_s, 2) for each in replies),
        told_tok_s=tuple(each.told_tok_s and round(each.told_tok_s, 2) for each in replies),
        prompt_tokens=tuple(each.prompt_tokens for each in replies),
        cached_tokens=tuple(each.cached_tokens for each in replies),
        tokens=tuple(each.tokens for each in replies),
        accepted_tokens=tuple(each.accepted_tokens for each in replies),
        texts=tuple(hashlib.sha256(each.text.encode()).hexdigest()[:8] for each in replies),
    )
