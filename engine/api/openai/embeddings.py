"""Vectors of texts: OpenAI's dialect."""

from __future__ import annotations

import base64
import sys
from array import array
from typing import Any

import msgspec
from msgspec import Struct

from engine.api.openai.bodies import parse
from engine.api.openai.sampling import token_ids, whole
from engine.api.openai.wire import EmbeddingsBody
from engine.errors import BadInput
from engine.types import Embeddings, EmbedRequest

MOST_INPUTS = 2048
"""As OpenAI has it; clients send longer lists in pieces."""
MOST_DIMENSIONS = 2**31 - 1

_decoder = msgspec.json.Decoder(EmbeddingsBody)


class AskedEmbeddings(Struct, frozen=True, kw_only=True):
    """A decoded request: what to compute, and how to answer."""

    model: str
    """As the client named it; empty means the active one."""
    request: EmbedRequest
    base64: bool = False


def decode_embeddings(body: bytes) -> AskedEmbeddings:
    """Decodes and checks a request. Raises `BadInput`, with `param`."""
    asked = parse(body, _decoder)
    if asked.encoding_format not in (None, "float", "base64"):
        raise BadInput(
            f"encoding_format is {asked.encoding_format!r}.", remedy="It is float or base64.", param="encoding_format"
        )
    dimensions = whole(asked.dimensions, "dimensions")
    if dimensions is not None and not 1 <= dimensions <= MOST_DIMENSIONS:
        raise BadInput(f"dimensions is {dimensions}.", remedy="It is at least 1.", param="dimensions")
    return AskedEmbeddings(
        model=asked.model or "",
        request=EmbedRequest(inputs=_inputs(asked.input), dimensions=dimensions),
        base64=asked.encoding_format == "base64",
    )


def encode_embeddings(model: str, asked: AskedEmbeddings, found: Embeddings) -> dict[str, Any]:
    """OpenAI's list of embeddings."""
    told = _base64 if asked.base64 else _floats
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": told(vector)}
            for index, vector in enumerate(found.vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": found.prompt_tokens, "total_tokens": found.prompt_tokens},
    }


def _inputs(found: str | list[str | int | float | list[int | float]]) -> tuple[str | tuple[int, ...], ...]:
    """The inputs: one text, or one list of tokens, is a list of one."""
    if isinstance(found, str):
        return (found,)
    if not found:
        raise BadInput("The list of inputs is empty.", remedy="Send at least one text.", param="input")
    tokens = [token for token in found if isinstance(token, int | float)]
    if len(tokens) == len(found):
        return (token_ids(tokens, "input"),)
    if len(found) > MOST_INPUTS:
        raise BadInput(f"There are {len(found)} inputs.", remedy=f"Send at most {MOST_INPUTS} at once.", param="input")
    inputs: list[str | tuple[int, ...]] = []
    for index, item in enumerate(found):
        if isinstance(item, int | float):
            raise BadInput(
                f"input[{index}] is a number among texts or lists.",
                remedy="Send a text, a list of texts, a list of tokens, or a list of such lists.",
                param=f"input[{index}]",
            )
        if not isinstance(item, str) and not item:
            raise BadInput(f"input[{index}] is empty.", param=f"input[{index}]")
        inputs.append(item if isinstance(item, str) else token_ids(item, f"input[{index}]"))
    return tuple(inputs)


def _floats(vector: bytes) -> list[float]:
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _base64(vector: bytes) -> str:
    return base64.b64encode(vector).decode()
