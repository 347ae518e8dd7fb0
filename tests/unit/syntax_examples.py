"""Reading answers in tests: what a parser finds in a text, whatever the way in which it is cut."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from engine.text.tool_calls import Thought, ToolCallSyntax, syntaxes
from engine.types import ToolCallDelta, ToolDefinition

Found = list[Any]
"""Text as `str`, reasoning as `Thought`, calls as (name, arguments) in their order; neighbours of a kind are joined."""

WEATHER = ToolDefinition(
    name="get_weather",
    description="The weather of some days.",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where."},
            "days": {"type": "integer", "description": "How many."},
            "exact": {"type": "boolean", "description": "Whether."},
            "options": {"type": "object", "description": "More.", "additionalProperties": True},
            "hours": {"type": "array", "items": {"type": "integer"}, "description": "When."},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)
NOW = ToolDefinition(
    name="now", description="The time.", parameters={"type": "object", "properties": {}, "additionalProperties": False}
)
TOOLS = (WEATHER, NOW)


def named(name: str) -> ToolCallSyntax:
    """The syntax of that name."""
    return next(syntax for syntax in syntaxes() if syntax.name == name)


def found(syntax: ToolCallSyntax, chunks: Iterable[str], tools: Sequence[ToolDefinition] = TOOLS) -> Found:
    """What a parser of `syntax` finds in an answer that comes in `chunks`."""
    return [
        piece if isinstance(piece, str | Thought) else (piece[1], piece[2]) for piece in joined(syntax, chunks, tools)
    ]


def identities(syntax: ToolCallSyntax, text: str, tools: Sequence[ToolDefinition] = TOOLS) -> list[str]:
    """The ids of the calls in an answer."""
    return [piece[0] for piece in joined(syntax, [text], tools) if isinstance(piece, list)]


def joined(syntax: ToolCallSyntax, chunks: Iterable[str], tools: Sequence[ToolDefinition] = TOOLS) -> list[Any]:
    """The pieces of an answer, neighbours of a kind joined; calls as [id, name, arguments]."""
    count = itertools.count()
    parser = syntax.parser(lambda: f"made{next(count):05}", tools)
    pieces = [piece for chunk in chunks for piece in parser.feed(chunk)]
    pieces += parser.close()
    result: list[Any] = []
    calls = 0
    for piece in pieces:
        last = result[-1] if result else None
        match piece:
            case ToolCallDelta(name=str()):
                assert piece.index == calls
                calls += 1
                assert piece.id
                assert piece.id not in {call[0] for call in result if isinstance(call, list)}
                result.append([piece.id, piece.name, piece.arguments])
            case ToolCallDelta():
                assert isinstance(last, list), "arguments without a call"
                assert piece.index == calls - 1
                last[2] += piece.arguments
            case Thought() if isinstance(last, Thought):
                result[-1] = Thought(last.text + piece.text)
            case str() if isinstance(last, str):
                result[-1] = last + piece
            case _:
                result.append(piece)
    return result


def plain(pieces: Found) -> Found:
    """Calls with their arguments as data: they have to be JSON."""
    return [(piece[0], json.loads(piece[1])) if isinstance(piece, tuple) else piece for piece in pieces]
