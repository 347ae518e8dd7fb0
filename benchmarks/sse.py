"""A client of streamed chat completions that costs the measured machine little.

While a stream runs, its bytes are only kept with their times; they are read when every stream has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from engine.errors import HostUnreachable

ANSWER_S = 300.0
"""Seconds after which an answer is given up."""


class _Piece(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Piece = msgspec.field(default_factory=_Piece)
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int = 0


class _AnswerDetails(msgspec.Struct):
    accepted_prediction_tokens: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _AnswerDetails | None = None


class _Timings(msgspec.Struct):
    predicted_per_second: float | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    timings: _Timings | None = None
    error: Any = None


_chunk = msgspec.json.Decoder(_Chunk)


@dataclass(slots=True)
class Reply:
    """One streamed answer. Times are seconds of `time.perf_counter`."""

    began: float
    """When the request was sent."""
    first: float = 0.0
    """When the first text had arrived."""
    last: float = 0.0
    """When the end was told, which is when the last token had arrived, also where that shows no text."""
    tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt, what the server did not compute."""
    accepted_tokens: int = 0
    """Of the answer, what had been guessed ahead."""
    told_tok_s: float | None = None
    """The server's own number for the decode rate."""
    text: str = ""

    @property
    def ttft_s(self) -> float:
        """Seconds from the request to the first text."""
        return self.first - self.began

    @property
    def tok_s(self) -> float | None:
        """Tokens per second from the first to the last; `None` when they came in one piece."""
        return (self.tokens - 1) / (self.last - self.first) if self.last > self.first else None


@dataclass(frozen=True, slots=True)
class _Raw:
    began: float
    blocks: list[tuple[float, bytes]]


def body(system: str, user: str, tokens: int) -> bytes:
    """A request for an answer of exactly `tokens` tokens, always the likeliest one."""
    return msgspec.json.encode(
        {
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": tokens,
            "ignore_eos": True,
            "temperature": 0,
        }
    )


async def ask(session: aiohttp.ClientSession, url: str, bodies: Sequence[bytes]) -> list[Reply]:
    """Sends all requests at once and returns the answers in their order. Raises `HostUnreachable` when one fails."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_stream(session, url, each)) for each in bodies]
    except ExceptionGroup as failed:
        first = failed.exceptions[0]
        raise HostUnreachable(f"A request to {url} failed: {str(first) or type(first).__name__}") from failed
    return [_read(task.result(), url) for task in tasks]


async def _stream(session: aiohttp.ClientSession, url: str, data: bytes) -> _Raw:
    raw = _Raw(time.perf_counter(), [])
    async with session.post(
        f"{url}/v1/chat/completions",
        data=data,
        headers={"Content-Type": "application/json"},
        timeout=aiohttp.ClientTimeout(total=ANSWER_S),
    ) as response:
        if response.status != 200:
            raise HostUnreachable(f"{response.status}: {await response.text()}")
        async for block in response.content.iter_any():
            raw.blocks.append((time.perf_counter(), block))
    return raw


def _read(raw: _Raw, url: str) -> Reply:
    """What was said when. Raises `HostUnreachable` for an error in the stream, or one that did not end well."""
    reply = Reply(began=raw.began)
    rest = b""
    for when, block in raw.blocks:
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if line.startswith(b"data: {"):
                _take(reply, when, _chunk.decode(line[6:]), url)
    if not (reply.first and reply.last and reply.tokens):
        raise HostUnreachable(f"A stream from {url} ended without text, reason or usage.")
    return reply


def _take(reply: Reply, when: float, chunk: _Chunk, url: str) -> None:
    if chunk.error is not None:
        raise HostUnreachable(f"{url} answered with an error: {chunk.error}.")
    for choice in chunk.choices:
        if text := choice.delta.content or choice.delta.reasoning_content:
            reply.first = reply.first or when
            reply.text += text
        if choice.finish_reason:
            reply.last = when
    if chunk.timings:
        reply.told_tok_s = chunk.timings.predicted_per_second
    if chunk.usage:
        reply.tokens = chunk.usage.completion_tokens
        reply.prompt_tokens = chunk.usage.prompt_tokens
        if prompt := chunk.usage.prompt_tokens_details:
            reply.cached_tokens = prompt.cached_tokens
        if answer := chunk.usage.completion_tokens_details:
            reply.accepted_tokens = answer.accepted_prediction_tokens
