"""Tokens of texts and conversations, without generating: llama-server's paths and names."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.api.openai.bodies import parse
from engine.api.openai.decode import conversation
from engine.api.openai.sampling import token_ids
from engine.api.openai.wire import DetokenizeBody, TokenizeBody
from engine.errors import BadInput
from engine.types import GenerateRequest, TokenizeRequest, Tokens

_tokenize = msgspec.json.Decoder(TokenizeBody)
_detokenize = msgspec.json.Decoder(DetokenizeBody)


def decode_tokenize(body: bytes) -> tuple[str, TokenizeRequest, bool]:
    """The model as the client named it, what is to be cut, and whether the pieces are wanted. Raises `BadInput`."""
    asked = parse(body, _tokenize)
    if (asked.content is None) == (asked.messages is None):
        raise BadInput(
            "Either content or messages has to be sent.",
            remedy="content is a text; messages are those of a chat completion.",
            param="content",
        )
    if asked.messages is not None:
        messages, tools = conversation(asked.messages, asked.tools)
        request = TokenizeRequest(request=GenerateRequest(messages=messages, tools=tools))
    elif asked.tools:
        raise BadInput("tools belong to messages.", remedy="Leave them out.", param="tools")
    else:
        request = TokenizeRequest(
            text=asked.content or "",
            add_special=bool(asked.add_special),
            parse_special=asked.parse_special is not False,
        )
    return asked.model or "", request, bool(asked.with_pieces)


def decode_detokenize(body: bytes) -> tuple[str, tuple[int, ...]]:
    """The model as the client named it, and the tokens. Raises `BadInput`."""
    asked = parse(body, _detokenize)
    return asked.model or "", token_ids(asked.tokens, "tokens")


def encode_tokens(found: Tokens, *, pieces: bool) -> dict[str, Any]:
    """`tokens` and their `count`; with pieces each token has its text, or its bytes where it is a part of one."""
    told = [_with_piece(*pair) for pair in zip(found.ids, found.pieces, strict=True)] if pieces else list(found.ids)
    return {"tokens": told, "count": len(found.ids)}


def _with_piece(token: int, piece: bytes) -> dict[str, Any]:
    try:
        return {"id": token, "piece": piece.decode()}
    except UnicodeDecodeError:
        return {"id": token, "piece": list(piece)}
