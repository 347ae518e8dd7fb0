"""What the grammar of a syntax allows is read by its parser as calls of the tools, with arguments of their schemas."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema_rs
import pytest
from fixtures.gbnf import Grammar
from fixtures.schemas import NAMES, SCHEMAS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import BadInput, Unsupported
from engine.text.tool_calls import ToolCallSyntax, syntaxes
from engine.text.tool_calls.forcing import calls_or_answer, forced_calls
from engine.types import AnswerFormat, ToolDefinition
from tests.unit.syntax_examples import NOW, WEATHER, joined, named

EDIT = ToolDefinition(
    name="edit-file",
    parameters={
        "type": "object",
        "$defs": {"Kind": {"enum": ["insert", "null", "2"]}},
        "properties": {
            "text": {"type": "string"},
            "short": {"type": "string", "minLength": 2, "maxLength": 5},
            "some": {"type": "string", "minLength": 1},
            "kind": {"$ref": "#/$defs/Kind"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "place": {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 3}]},
            "code": {"type": "string", "pattern": "^[A-Z]{2}-?\\d$"},
            "when": {"type": "string", "format": "date"},
            "edits": {
                "type": "array",
                "maxItems": 2,
                "items": {
                    "type": "object",
                    "properties": {"old": {"type": "string"}, "all": {"type": "boolean"}, "n": {"type": "null"}},
                    "required": ["old", "all", "n"],
                },
            },
            "level": {"enum": ["low", 3, None, True]},
            "rate": {"type": "number", "exclusiveMinimum": 0, "maximum": 2},
            "anything": {},
        },
        "required": ["text", "kind", "note", "place", "edits", "level", "anything"],
    },
)
TOOLS = (WEATHER, NOW, EDIT)
ALL = pytest.mark.parametrize("syntax", syntaxes(), ids=lambda syntax: str(syntax.name))


def control(syntax: ToolCallSyntax) -> dict[str, int]:
    """The markers of a syntax as control tokens."""
    return {word: index for index, word in enumerate(syntax.markers)}


def calls_in(syntax: ToolCallSyntax, text: str, tools: Sequence[ToolDefinition]) -> list[tuple[str, Any]]:
    """The calls in an answer, which must have nothing else, and is the same however it is cut."""
    pieces = joined(syntax, [text], tools)
    assert pieces == joined(syntax, list(text), tools)
    for place in range(1, len(text), 1 + len(text) // 40):
        assert joined(syntax, [text[:place], text[place:]], tools) == pieces
    assert all(isinstance(piece, list) for piece in pieces), (text, pieces)
    return [(piece[1], json.loads(piece[2])) for piece in pieces]


def check(
    syntax: ToolCallSyntax,
    rng: random.Random,
    tools: Sequence[ToolDefinition],
    name: str | None,
    tokens: Mapping[str, int],
    *,
    several: bool = True,
) -> int:
    """Walks the grammar once, and reads what comes of it; gives the number of calls."""
    grammar = Grammar(
        forced_calls(syntax, tools, name, several=several, tokens=tokens),
        {token: word for word, token in tokens.items()},
    )
    text = syntax.opening(name) + grammar.text(rng)
    found = calls_in(syntax, text, tools)
    schemas = {tool.name: {"type": "object"} | tool.parameters for tool in tools}
    assert found, text
    for called, arguments in found:
        assert name in (None, called)
        validator = jsonschema_rs.Draft202012Validator(schemas[called], validate_formats=True)
        faults = [(fault.message, fault.instance) for fault in validator.iter_errors(arguments)]
        assert not faults, (text, arguments)
    return len(found)


@ALL
@pytest.mark.parametrize("with_tokens", [False, True], ids=["text", "tokens"])
def test_forced_calls_are_read_as_calls_of_their_schemas(syntax: ToolCallSyntax, *, with_tokens: bool) -> None:
    tokens = control(syntax) if with_tokens else {}
    rng = random.Random(1)
    counts = {check(syntax, rng, TOOLS, None, tokens) for _ in range(40)}
    assert 1 in counts
    assert max(counts) > 1 or syntax.form.following is None
    for tool in TOOLS:
        assert {check(syntax, rng, TOOLS, tool.name, tokens) for _ in range(15)} == {1}
    assert {check(syntax, rng, TOOLS, None, tokens, several=False) for _ in range(15)} == {1}
