"""Completions of plain prompts: OpenAI's older dialect, which editors use to complete code."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from engine.api.openai.bodies import parse
from engine.api.openai.encode import DONE, finish_reason, head, timings, usage
from engine.api.openai.lora import adapters
from engine.api.openai.sampling import (
    answer_format,
    choices,
    max_tokens,
    most_drafted,
    sampling,
    stop,
    token_ids,
    top_logprobs,
    whole,
)
from engine.api.openai.wire import CompletionBody
from engine.errors import BadInput, Unsupported
from engine.types import Delta, Finish, GenerateRequest, TokenLogprob

_decoder = msgspec.json.Decoder(CompletionBody)
_json = msgspec.json.Encoder()
_KIND = "text_completion"


class CompletionRequest(Struct, frozen=True, kw_only=True):
    """A decoded request: what to generate, and how to answer."""

    model: str
    request: GenerateRequest
    stream: bool = False
    include_usage: bool = False


def decode_completion(body: bytes) -> CompletionRequest:
    """Decodes and checks a request. Raises `BadInput` or `Unsupported`, both with `param`."""
    asked = parse(body, _decoder)
    _refuse_unsupported(asked)
    text, tokens = _prompt(asked.prompt)
    options = asked.stream_options
    request = GenerateRequest(
        prompt=text,
        prompt_tokens=tokens,
        suffix=asked.suffix or None,
        sampling=sampling(asked),
        max_tokens=max_tokens(asked),
        stop=stop(asked.stop),
        ignore_eos=bool(asked.ignore_eos),
        format=answer_format(asked),
        top_logprobs=top_logprobs(asked.logprobs, "logprobs"),
        n=choices(asked),
        most_drafted=most_drafted(asked),
        adapters=adapters(asked),
    )
    return CompletionRequest(
        model=asked.model or "",
        stream=bool(asked.stream),
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        request=request,
    )


def _refuse_unsupported(asked: CompletionBody) -> None:
    if asked.echo:
        raise Unsupported("The prompt is not repeated in the answer.", remedy="Leave echo out.", param="echo")
    best_of = whole(asked.best_of, "best_of")
    if best_of is not None and best_of != choices(asked):
        raise Unsupported("Every answer that is generated is given.", remedy="Leave best_of out.", param="best_of")


def _prompt(prompt: str | list[str | int | float | list[int | float]]) -> tuple[str | None, tuple[int, ...] | None]:
    """The prompt as text or as tokens; a list of one prompt is that prompt."""
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str | list):
        prompt = list(prompt[0]) if isinstance(prompt[0], list) else prompt[0]
    if isinstance(prompt, str):
        if not prompt:
            raise BadInput("The prompt is empty.", param="prompt")
        return prompt, None
    if not prompt:
        raise BadInput("The prompt is empty.", param="prompt")
    tokens = [token for token in prompt if isinstance(token, int | float)]
    if len(tokens) != len(prompt):
        raise Unsupported(
            "A request completes one prompt.", remedy="Send a request for each of the prompts.", param="prompt"
        )
    return None, token_ids(tokens, "prompt")


class CompletionChunks:
    """Encodes one generation as server-sent events."""

    def __init__(self, model: str, *, include_usage: bool, several: bool) -> None:
        self._head = _json.encode(head(_KIND, model, "cmpl"))[:-1]
        self._include_usage = include_usage
        self._several = several
        self._offsets: dict[int, int] = {}

    def opening(self) -> bytes:
        """Nothing: the first chunk brings text."""
        return b""

    def heartbeat(self) -> bytes:
        """A chunk without text."""
        return self._chunk(_choice(0, "", None, None))

    def delta(self, delta: Delta) -> bytes:
        """The chunk of one delta; nothing for a delta that has nothing to show."""
        if not (delta.text or delta.logprobs or delta.finish):
            return b""
        offset = self._offsets.get(delta.choice, 0)
        self._offsets[delta.choice] = offset + sum(len(_text(entry)) for entry in delta.logprobs)
        logprobs = legacy_logprobs(delta.logprobs, offset) if delta.logprobs else None
        return self._chunk(_choice(delta.choice, delta.text, logprobs, delta.finish))

    def finish(self, finish: Finish) -> bytes:
        """The last chunks. Raises as `finish_reason` does."""
        reason = finish_reason(finish)
        last = (
            b"" if self._several else self._chunk(_choice(0, "", None, reason), timings(finish.usage, finish.timings))
        )
        if self._include_usage:
            last += b"data: " + self._head + b',"choices":[],"usage":' + _json.encode(usage(finish.usage)) + b"}\n\n"
        return last + DONE

    def _chunk(self, choice: dict[str, Any], times: dict[str, Any] | None = None) -> bytes:
        rest: dict[str, Any] = {"choices": [choice]}
        if times is not None:
            rest["timings"] = times
        if self._include_usage:
            rest["usage"] = None
        return b"data: " + self._head + b"," + _json.encode(rest)[1:] + b"\n\n"


class WholeCompletion:
    """Gathers one generation and encodes it as a completion."""

    def __init__(self, model: str, request: GenerateRequest) -> None:
        self._model = model
        self._logprobs = request.top_logprobs is not None
        self._texts: list[list[str]] = [[] for _ in range(request.n)]
        self._likely: list[list[TokenLogprob]] = [[] for _ in range(request.n)]
        self._reasons: dict[int, str] = {}

    def add(self, delta: Delta) -> None:
        """Adds what was generated since the last delta."""
        self._texts[delta.choice].append(delta.text)
        self._likely[delta.choice] += delta.logprobs
        if delta.finish:
            self._reasons[delta.choice] = delta.finish

    def encode(self, finish: Finish) -> bytes:
        """The answer as JSON. Raises as `finish_reason` does."""
        reason = finish_reason(finish)
        choices = [
            _choice(
                index,
                "".join(texts),
                legacy_logprobs(self._likely[index], 0) if self._logprobs else None,
                self._reasons.get(index, reason),
            )
            for index, texts in enumerate(self._texts)
        ]
        return _json.encode(
            head(_KIND, self._model, "cmpl")
            | {"choices": choices, "usage": usage(finish.usage), "timings": timings(finish.usage, finish.timings)}
        )


def legacy_logprobs(entries: list[TokenLogprob] | tuple[TokenLogprob, ...], offset: int) -> dict[str, Any]:
    """Log probabilities in this dialect's shape: a list for each of their properties; `offset` is in characters."""
    offsets = []
    for entry in entries:
        offsets.append(offset)
        offset += len(_text(entry))
    return {
        "tokens": [_text(entry) for entry in entries],
        "token_logprobs": [entry.logprob for entry in entries],
        "top_logprobs": [{_text(one): one.logprob for one in reversed(entry.top)} for entry in entries],
        "text_offset": offsets,
    }


def _text(entry: TokenLogprob) -> str:
    return entry.piece.decode("utf-8", "replace")


def _choice(index: int, text: str, logprobs: dict[str, Any] | None, reason: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
