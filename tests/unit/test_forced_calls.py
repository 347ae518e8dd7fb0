"""What the grammar of a syntax allows is read by its parser as calls of the tools, with arguments of their schemas."""

from __future__ import annotations

import json
import random
import re
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
    for place in range(1, len(text), 1 + len(text) // 8):
        assert joined(syntax, [text[:place], text[place:]], tools) == pieces
    assert all(isinstance(piece, list) for piece in pieces), (text, pieces)
    return [(piece[1], json.loads(piece[2])) for piece in pieces]


class Walker:
    """Texts that the grammar of forced calls allows, each read by the parser of its syntax."""

    def __init__(
        self,
        syntax: ToolCallSyntax,
        tools: Sequence[ToolDefinition],
        name: str | None = None,
        *,
        tokens: Mapping[str, int],
        several: bool = True,
    ) -> None:
        self._syntax, self._tools, self._name = syntax, tools, name
        text = forced_calls(syntax, tools, name, several=several, tokens=tokens)
        self._grammar = Grammar(text, {token: word for word, token in tokens.items()})
        self._validators = {
            tool.name: jsonschema_rs.Draft202012Validator({"type": "object"} | tool.parameters, validate_formats=True)
            for tool in tools
        }

    def walk(self, rng: random.Random) -> int:
        """Checks one text; gives the number of calls in it."""
        text = self._syntax.opening(self._name) + self._grammar.text(rng)
        found = calls_in(self._syntax, text, self._tools)
        for called, arguments in found:
            assert self._name in (None, called)
            faults = [(fault.message, fault.instance) for fault in self._validators[called].iter_errors(arguments)]
            assert not faults, (text, arguments)
        return len(found)

    def counts(self, times: int) -> set[int]:
        """Numbers of calls that come of some walks."""
        rng = random.Random(times)
        return {self.walk(rng) for _ in range(times)}


@ALL
@pytest.mark.parametrize("with_tokens", [False, True], ids=["text", "tokens"])
def test_forced_calls_are_read_as_calls_of_their_schemas(syntax: ToolCallSyntax, *, with_tokens: bool) -> None:
    tokens = control(syntax) if with_tokens else {}
    counts = Walker(syntax, TOOLS, tokens=tokens).counts(40)
    assert min(counts) == 1
    assert max(counts) > 1 or syntax.form.following is None
    for tool in TOOLS:
        assert Walker(syntax, TOOLS, tool.name, tokens=tokens).counts(12) == {1}
    assert Walker(syntax, TOOLS, tokens=tokens, several=False).counts(12) == {1}


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    syntax=st.sampled_from(syntaxes()),
    properties=st.dictionaries(st.one_of(st.sampled_from(["a", "b_2"]), NAMES), SCHEMAS, min_size=1, max_size=4),
    data=st.data(),
)
def test_arguments_of_any_schema_satisfy_it(
    syntax: ToolCallSyntax, properties: dict[str, Any], data: st.DataObject
) -> None:
    required = data.draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    tool = ToolDefinition(name="tool", parameters=schema, strict=True)
    try:
        walker = Walker(syntax, [tool], tokens=control(syntax))
    except BadInput as error:
        assert error.info.param is not None
        assert error.info.param.startswith("tools[0].function.parameters")
        return
    rng = random.Random(data.draw(st.integers(0, 99)))
    for _ in range(3):
        walker.walk(rng)


@ALL
def test_a_strict_schema_that_cannot_be_kept_is_refused_and_another_one_is_kept_in_part(syntax: ToolCallSyntax) -> None:
    properties = {"n": {"type": "integer", "minimum": 3}, "a": {"type": "string", "pattern": "^(?=x)"}}
    schema = {"type": "object", "properties": properties, "required": ["n", "a"]}
    with pytest.raises(BadInput, match="look-around") as caught:
        forced_calls(syntax, [NOW, ToolDefinition(name="t", parameters=schema, strict=True)], None, tokens={})
    assert caught.value.info.param == "tools[1].function.parameters.properties.a.pattern"
    grammar = Grammar(forced_calls(syntax, [ToolDefinition(name="t", parameters=schema)], "t", tokens={}))
    rng = random.Random(1)
    for _ in range(8):
        ((_, arguments),) = calls_in(
            syntax, syntax.opening("t") + grammar.text(rng), [ToolDefinition(name="t", parameters=schema)]
        )
        assert arguments["n"] >= 3
        assert isinstance(arguments["a"], str)


@ALL
def test_an_answer_or_calls(syntax: ToolCallSyntax) -> None:
    form = AnswerFormat(
        kind="schema", schema={"type": "object", "properties": {"x": {"const": "y"}}, "required": ["x"]}
    )
    grammar = Grammar(calls_or_answer(syntax, TOOLS, form, tokens={}))
    rng = random.Random(3)
    texts = [grammar.text(rng) for _ in range(30)]
    said = [text for text in texts if re.match(r'\{\s*"x"', text.removeprefix(syntax.answer))]
    called = [text for text in texts if text not in said]
    assert said
    assert called
    assert all(json.loads("".join(joined(syntax, [text], TOOLS))) == {"x": "y"} for text in said)
    for text in called:
        assert calls_in(syntax, text, TOOLS)


def test_a_tool_that_a_syntax_cannot_name_is_not_called() -> None:
    odd = ToolDefinition(name="what (now)?")
    with pytest.raises(Unsupported, match="cannot be made to call"):
        forced_calls(named("lfm2"), [odd], None, tokens={})
    walker = Walker(named("lfm2"), [odd, NOW], tokens={})
    assert walker.counts(5)
    assert Walker(named("hermes"), [odd], odd.name, tokens={}).counts(5) == {1}
