"""From the engine's outputs to chat completions, whole or as a stream of chunks.

A chunk is OpenAI's to the letter; `reasoning_content` and `timings` are extensions that llama-server's clients know.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from engine.api.errors import cut_short
from engine.types import Delta, Finish, GenerateRequest, Timings, TokenLogprob, ToolCallDelta, Usage

_json = msgspec.json.Encoder()

DONE = b"data: [DONE]\n\n"
LEAST_LOGPROB = -9999.0
"""OpenAI's number for what is next to impossible."""


class _Piece(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The `delta` of a chunk."""

    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()


class ChunkEncoder:
    """Encodes one generation as server-sent events; what all chunks share is encoded once."""

    def __init__(self, model: str, *, include_usage: bool, choices: int = 1) -> None:
        self._include_usage = include_usage
        self._choices = choices
        self._head = _json.encode(head("chat.completion.chunk", model))[:-1]
        self._usage = b',"usage":null' if include_usage else b""

    def opening(self) -> bytes:
        """The first chunk of every choice, which carries the role."""
        return b"".join(self._chunk(choice, b'{"role":"assistant","content":""}') for choice in range(self._choices))

    def heartbeat(self) -> bytes:
        """A chunk without content. Not an SSE comment, because some clients count only data as a sign of life."""
        return self._chunk(0, b"{}")

    def delta(self, delta: Delta) -> bytes:
        """The chunk of one delta; nothing for a delta that has nothing to show."""
        logprobs = _json.encode(logprobs_of(delta.logprobs)) if delta.logprobs else b"null"
        reason = _json.encode(delta.finish)
        if delta.tool_calls or delta.reasoning:
            piece = _Piece(
                content=delta.text or None,
                reasoning_content=delta.reasoning or None,
                tool_calls=tuple(_call_piece(call) for call in delta.tool_calls),
            )
            return self._chunk(delta.choice, _json.encode(piece), logprobs, reason)
        if delta.text:
            return self._chunk(delta.choice, b'{"content":' + _json.encode(delta.text) + b"}", logprobs, reason)
        if delta.logprobs or delta.finish:
            return self._chunk(delta.choice, b"{}", logprobs, reason)
        return b""

    def finish(self, finish: Finish) -> bytes:
        """The last chunks: the reason with the timings, the usage where it was asked for, and the end mark.

        Of several choices each has told its own reason before. Raises as `finish_reason` does.
        """
        reason, times = finish_reason(finish), timings(finish.usage, finish.timings)
        events: list[dict[str, Any]] = []
        if self._choices == 1:
            choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}
            events.append({"choices": [choice], "timings": times})
            if self._include_usage:
                events[0]["usage"] = None
        if self._include_usage:
            events.append({"choices": [], "usage": usage(finish.usage)})
        return b"".join(self._event(event) for event in events) + DONE

    def _chunk(self, choice: int, delta: bytes, logprobs: bytes = b"null", reason: bytes = b"null") -> bytes:
        parts = (
            *(b"data: ", self._head, b',"choices":[{"index":%d,"delta":' % choice, delta, b',"logprobs":', logprobs),
            *(b',"finish_reason":', reason, b"}]", self._usage, b"}\n\n"),
        )
        return b"".join(parts)

    def _event(self, rest: dict[str, Any]) -> bytes:
        return b"data: " + self._head + b"," + _json.encode(rest)[1:] + b"\n\n"


class _Choice:
    """One answer as it comes."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, dict[str, Any]] = {}
        self.logprobs: list[TokenLogprob] = []
        self.reason: str | None = None

    def add(self, delta: Delta) -> None:
        self.text.append(delta.text)
        self.reasoning.append(delta.reasoning)
        self.logprobs += delta.logprobs
        self.reason = delta.finish or self.reason
        for call in delta.tool_calls:
            if call.index not in self.calls:
                function = {"name": call.name, "arguments": ""}
                self.calls[call.index] = {"id": call.id, "type": "function", "function": function}
            self.calls[call.index]["function"]["arguments"] += call.arguments

    def message(self) -> dict[str, Any]:
        text, reasoning = "".join(self.text), "".join(self.reasoning)
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if reasoning:
            message["reasoning_content"] = reasoning
        if self.calls:
            message["content"] = text or None
            message["tool_calls"] = [self.calls[index] for index in sorted(self.calls)]
        return message


class WholeAnswer:
    """Gathers one generation and encodes it as a chat completion."""

    def __init__(self, model: str, request: GenerateRequest) -> None:
        self._model = model
        self._logprobs = request.top_logprobs is not None
        self._choices = [_Choice() for _ in range(request.n)]

    def add(self, delta: Delta) -> None:
        """Adds what was generated since the last delta."""
        self._choices[delta.choice].add(delta)

    def encode(self, finish: Finish) -> bytes:
        """The answer as JSON. Raises as `finish_reason` does."""
        reason = finish_reason(finish)
        choices = [
            {
                "index": index,
                "message": choice.message(),
                "logprobs": logprobs_of(choice.logprobs) if self._logprobs else None,
                "finish_reason": choice.reason or reason,
            }
            for index, choice in enumerate(self._choices)
        ]
        return _json.encode(
            head("chat.completion", self._model)
            | {"choices": choices, "usage": usage(finish.usage), "timings": timings(finish.usage, finish.timings)}
        )


def logprobs_of(entries: Iterable[TokenLogprob]) -> dict[str, Any]:
    """OpenAI's `logprobs` of a choice. A token that is a part of a character has its bytes only."""
    content = [_likely(entry) | {"top_logprobs": [_likely(one) for one in entry.top]} for entry in entries]
    return {"content": content, "refusal": None}


def _likely(entry: TokenLogprob) -> dict[str, Any]:
    return {
        "token": entry.piece.decode("utf-8", "replace"),
        "logprob": max(entry.logprob, LEAST_LOGPROB),
        "bytes": list(entry.piece),
    }


def finish_reason(finish: Finish) -> str:
    """OpenAI's word for the end. Raises `WorkerDied` for an end that left the answer incomplete."""
    if finish.reason in ("cancelled", "error"):
        raise cut_short()
    return finish.reason


def usage(used: Usage) -> dict[str, Any]:
    """OpenAI's `usage`, in tokens."""
    told: dict[str, Any] = {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.prompt_tokens + used.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
    }
    if used.drafted_tokens:
        told["completion_tokens_details"] = {
            "accepted_prediction_tokens": used.accepted_tokens,
            "rejected_prediction_tokens": used.drafted_tokens - used.accepted_tokens,
        }
    return told


def timings(used: Usage, spent: Timings) -> dict[str, Any]:
    """`timings` in llama-server's names: milliseconds and tokens per second; a rate over no time is left out."""
    computed = used.prompt_tokens - used.cached_tokens
    told: dict[str, Any] = {
        "queued_ms": spent.queued_s * 1000,
        "cache_n": used.cached_tokens,
        "prompt_n": computed,
        "prompt_ms": spent.prefill_s * 1000,
        "predicted_n": used.completion_tokens,
        "predicted_ms": spent.decode_s * 1000,
    }
    if used.drafted_tokens:
        told |= {"draft_n": used.drafted_tokens, "draft_n_accepted": used.accepted_tokens}
    if spent.prefill_s > 0:
        told["prompt_per_second"] = computed / spent.prefill_s
    if spent.decode_s > 0 and used.completion_tokens > 1:
        told["predicted_per_second"] = (used.completion_tokens - 1) / spent.decode_s
    return told


def head(kind: str, model: str, prefix: str = "chatcmpl") -> dict[str, Any]:
    """What every object of one generation begins with."""
    return {"id": f"{prefix}-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _call_piece(call: ToolCallDelta) -> dict[str, Any]:
    if call.id is None:
        return {"index": call.index, "function": {"arguments": call.arguments}}
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": call.index, "id": call.id, "type": "function", "function": function}
