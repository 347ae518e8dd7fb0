"""The serving benchmark without servers: what is read from a stream, whose turn it is, and what rounds make."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import sse
from engine.errors import HostUnreachable
from prompts import Prompts
from rounds import Clock, compare
from scenarios import SCENARIOS, Run, Sample, Scenario, Sizes, percentile95
from servers import Server

SIZES = Sizes(single=8, streams=8, mixed=8, restart=800, lookup=8)


class Idle(Server):
    """A server that is never asked."""

    url, version, pid = "http://127.0.0.1:9", "1", None

    def __init__(self, label: str) -> None:
        self.label = label

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""


class Table:
    """A scenario whose numbers are known."""

    def __init__(self, **values: Sequence[float]) -> None:
        self.turns: list[str] = []
        self._values = values

    async def measure(self, run: Run, server: Server, number: int) -> Sample:
        self.turns.append(server.label)
        return Sample(value=self._values[server.label][number])


class Endless(Table):
    """One whose second round has no end."""

    async def measure(self, run: Run, server: Server, number: int) -> Sample:
        if number == 1 and server.label == "ours":
            await asyncio.Event().wait()
        return await super().measure(run, server, number)


async def compared(table: Table, *, seconds: float = 60, rounds: int = 3, inverse: bool = False):
    scenario = Scenario("some", "something", "s", 2.0, table.measure, lambda _: 0, at_most=not inverse, inverse=inverse)
    async with aiohttp.ClientSession() as session:
        run = Run(session, Prompts(1), SIZES)
        return await compare(run, scenario, [Idle("ours"), Idle("theirs")], rounds, Clock(seconds))


async def test_the_servers_take_turns() -> None:
    table = Table(ours=[3, 1, 2], theirs=[1, 9, 2])
    found = await compared(table)
    assert table.turns == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert list(found.values.items()) == [("ours", 2), ("theirs", 2)]
    assert (found.ratio, found.met, found.note) == (1, True, "")
    assert [sample.value for sample in found.rounds["theirs"]] == [1, 9, 2]


@pytest.mark.parametrize(("ours", "ratio", "met"), [(4, 0.5, False), (1, 2, True), (0.5, 4, True)])
async def test_an_inverse_ratio_says_how_many_times_faster(ours: float, ratio: float, met: bool) -> None:
    found = await compared(Table(ours=[ours], theirs=[2]), rounds=1, inverse=True)
    assert (found.ratio, found.met) == (ratio, met)


async def test_a_ratio_above_the_limit_fails() -> None:
    assert (await compared(Table(ours=[2.1], theirs=[1]), rounds=1)).met is False


async def test_a_round_that_does_not_end_in_time_is_left_out() -> None:
    found = await compared(Endless(ours=[1, 1], theirs=[2, 2]), seconds=0.3, rounds=2)
    assert {label: len(samples) for label, samples in found.rounds.items()} == {"ours": 1, "theirs": 1}
    assert (found.ratio, found.note) == (0.5, "the time was up after 1 of 2 rounds")


async def test_no_round_is_begun_without_time() -> None:
    table = Table(ours=[1], theirs=[1])
    found = await compared(table, seconds=0)
    assert (table.turns, found.values, found.ratio, found.met) == ([], {"ours": None, "theirs": None}, None, None)


def test_the_mixed_percentile_is_that_of_all_requests() -> None:
    mixed = next(scenario for scenario in SCENARIOS if scenario.name == "mixed8")
    rounds = [Sample(value=0, ttft_s=tuple(range(8))), Sample(value=0, ttft_s=tuple(range(8, 21)))]
    assert mixed.gather(rounds) == percentile95(range(21)) == 19


def test_prompts_are_the_same_again_and_share_no_beginning() -> None:
    first, again = (Prompts(7).request("a 1", 400, 4) for _ in range(2))
    assert first == again
    begins = {body[:60] for body in (first, Prompts(7).request("a 2", 400, 4), Prompts(8).request("a 1", 400, 4))}
    assert len(begins) == 3


PIECES = [
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\nda',
    b'ta: {"choices":[{"delta":{"content":"on',
    b'e"}}]}\n\n: comment\n\n',
    b'data: {"choices":[{"delta":{"content":" two"}}]}\n\n',
    b'data: {"choices":[{"delta":{},"finish_reason":"length"}],"timings":{"predicted_per_second":50.0}}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,'
    b'"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"accepted_prediction_tokens":1}}}\n\n',
    b"data: [DONE]\n\n",
]


async def asked(pieces: list[bytes], status: int = 200) -> sse.Reply:
    """The reply read from a server that writes `pieces`."""

    async def chat(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", chat)])
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        return (await sse.ask(session, str(server.make_url("")).rstrip("/"), [sse.body("s", "u", 3)]))[0]


async def test_a_stream_is_read_however_it_is_cut() -> None:
    for pieces in (PIECES, [b"".join(PIECES)], [bytes([byte]) for byte in b"".join(PIECES)]):
        reply = await asked(pieces)
        assert (reply.text, reply.tokens, reply.prompt_tokens, reply.cached_tokens) == ("one two", 3, 5, 2)
        assert (reply.told_tok_s, reply.accepted_tokens) == (50, 1)
        assert reply.began < reply.first <= reply.last
        assert reply.tok_s is None or reply.tok_s > 0


@pytest.mark.parametrize(
    ("pieces", "status", "why"),
    [
        (PIECES[:4], 200, "ended without text, reason or usage"),
        ([*PIECES[:4], b'data: {"error":{"message":"gone"}}\n\n'], 200, "gone"),
        ([b"slow down"], 503, "503: slow down"),
    ],
)
async def test_a_stream_that_fails_says_why(pieces: list[bytes], status: int, why: str) -> None:
    with pytest.raises(HostUnreachable, match=why):
        await asked(pieces, status)
