"""The part of a body that says how tokens are chosen; what is wrong is said with its field's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from engine.api.openai.wire import ResponseFormat, SamplingBody
from engine.errors import BadInput
from engine.types import AnswerFormat, Sampling

INT64 = 2**63
MAX_DEPTH = 64
"""Levels of a schema or of arguments; deeper ones come from no tool, and would exhaust a stack further on."""
MAX_TOP_LOGPROBS = 20
MAX_CHOICES = 128
_INT32 = 2**31 - 1

_FLOATS = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "typical_p": (0, 1),
    "repeat_penalty": (0.1, 10),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "xtc_probability": (0, 1),
    "xtc_threshold": (0, 1),
    "dry_multiplier": (0, 100),
    "dry_base": (1, 100),
    "mirostat_tau": (0, 100),
    "mirostat_eta": (0, 1),
}
_WHOLES = {
    "top_k": (-1, _INT32),
    "seed": (-INT64, INT64 - 1),
    "repeat_last_n": (-1, _INT32),
    "dry_allowed_length": (1, _INT32),
    "dry_penalty_last_n": (-1, _INT32),
    "mirostat": (0, 2),
}
_MOST_BREAKERS, _LONGEST_BREAKER = 64, 128


def sampling(body: SamplingBody) -> Sampling:
    """The checked parameters. Raises `BadInput`."""
    found: dict[str, Any] = {}
    for param, limits in (_FLOATS | _WHOLES).items():
        value = getattr(body, param)
        if param in _WHOLES:
            value = whole(value, param)
        _check(value, param, *limits)
        found[param] = value
    return Sampling(**found, logit_bias=_bias(body.logit_bias), dry_sequence_breakers=_breakers(body))


def answer_format(body: SamplingBody) -> AnswerFormat:
    """The form that the answer must have. Raises `BadInput`."""
    asked = body.response_format or ResponseFormat(type="text")
    if body.grammar:
        if asked.type != "text":
            raise BadInput("grammar and response_format exclude each other.", param="grammar")
        return AnswerFormat(kind="grammar", grammar=body.grammar)
    match asked.type:
        case "text":
            return AnswerFormat()
        case "json_object" if asked.schema is UNSET or asked.schema is None:
            return AnswerFormat(kind="json")
        case "json_object" | "json_schema":
            return _schema(asked)
    raise BadInput(
        f"response_format.type is {asked.type!r}.",
        remedy="It is one of text, json_object, json_schema.",
        param="response_format.type",
    )


def max_tokens(body: SamplingBody) -> int | None:
    """The limit, `None` for -1 as well, which several clients send for no limit."""
    param = "max_tokens" if body.max_completion_tokens is None else "max_completion_tokens"
    asked = whole(getattr(body, param), param)
    if asked is None or asked == -1:
        return None
    if asked < 1:
        raise BadInput(f"{param} is {asked}.", remedy="It is at least 1; leave it out for no limit.", param=param)
    return min(asked, INT64 - 1)


def choices(body: SamplingBody) -> int:
    """How many answers are wanted."""
    wanted = whole(body.n, "n")
    _check(wanted, "n", 1, MAX_CHOICES)
    return 1 if wanted is None else wanted


def most_drafted(body: SamplingBody) -> int | None:
    """How many tokens may be guessed ahead in a step; 0 is none."""
    wanted = whole(body.speculative_n_max, "speculative.n_max")
    _check(wanted, "speculative.n_max", 0, _INT32)
    return wanted


def top_logprobs(value: float | None, param: str) -> int | None:
    """How many of the likeliest tokens are wanted at each place."""
    wanted = whole(value, param)
    _check(wanted, param, 0, MAX_TOP_LOGPROBS)
    return wanted


def stop(texts: str | list[str] | None) -> tuple[str, ...]:
    """The texts that end an answer."""
    texts = [texts] if isinstance(texts, str) else texts or []
    if len(texts) > 64:
        raise BadInput(f"stop has {len(texts)} texts.", remedy="Send at most 64.", param="stop")
    return tuple(text for text in texts if text)


def whole(value: float | None, param: str) -> int | None:
    """A whole number, which may be written as 1.0."""
    if value is None:
        return None
    if value != int(value):
        raise BadInput(f"{param} is {value}.", remedy="It is a whole number.", param=param)
    return int(value)


def token_ids(values: Sequence[float], param: str) -> tuple[int, ...]:
    """Ids of tokens; whether the model has them is its own business."""
    found = []
    for index, value in enumerate(values):
        token = whole(value, f"{param}[{index}]")
        if token is None or not 0 <= token <= _INT32:
            raise BadInput(f"{param}[{index}] is {value}, which is no token.", param=f"{param}[{index}]")
        found.append(token)
    return tuple(found)


def fit_for_frames(value: dict[str, Any], param: str) -> dict[str, Any]:
    """`value` with integers clipped, in place, to the 64 bits that a frame to the worker carries.

    Raises `BadInput` for absurd nesting.
    """
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for container in level:
            items = container.items() if isinstance(container, dict) else enumerate(container)
            for key, item in items:
                if isinstance(item, int) and not isinstance(item, bool):
                    container[key] = max(-INT64, min(item, INT64 - 1))
                elif isinstance(item, dict | list):
                    below.append(item)
        if not below:
            return value
        level = below
    raise BadInput(f"{param} is nested more than {MAX_DEPTH} levels deep.", param=param)


def _schema(asked: ResponseFormat) -> AnswerFormat:
    param = "response_format.schema" if asked.schema is not UNSET else "response_format.json_schema.schema"
    schema = asked.schema if asked.schema is not UNSET else asked.json_schema and asked.json_schema.schema
    if schema is None or schema is UNSET:
        raise BadInput(f"The field {param} is missing.", param=param)
    if not isinstance(schema, dict):
        raise BadInput(f"{param} has the wrong type: Expected `object`.", param=param)
    return AnswerFormat(kind="schema", schema=fit_for_frames(schema, param))


def _check(value: float | None, param: str, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise BadInput(f"{param} is {value}.", remedy=f"It lies between {low} and {high}.", param=param)


def _bias(bias: dict[str, float] | None) -> dict[int, float] | None:
    if not bias:
        return None
    found = {}
    for key, value in bias.items():
        if not (key.isascii() and key.isdigit() and int(key) <= _INT32):
            raise BadInput(
                f"logit_bias has the key {key!r}.",
                remedy="Its keys are ids of tokens, such as '42'.",
                param="logit_bias",
            )
        _check(value, "logit_bias", -100, 100)
        found[int(key)] = value
    return found


def _breakers(body: SamplingBody) -> tuple[str, ...] | None:
    texts = body.dry_sequence_breakers
    if texts is None:
        return None
    if len(texts) > _MOST_BREAKERS or not all(0 < len(text) <= _LONGEST_BREAKER and "\0" not in text for text in texts):
        raise BadInput(
            "dry_sequence_breakers has too many texts, or one that is empty or too long.",
            remedy=f"Send at most {_MOST_BREAKERS} of up to {_LONGEST_BREAKER} characters.",
            param="dry_sequence_breakers",
        )
    return tuple(texts)
