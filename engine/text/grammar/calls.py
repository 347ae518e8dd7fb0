"""What the syntaxes of tool calls write their grammars with; and the grammars of answers that are none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import BadInput
from engine.text.grammar.dialects import JSON, Dialect
from engine.text.grammar.errors import CannotExpress
from engine.text.grammar.keywords import constraining
from engine.text.grammar.objects import properties
from engine.text.grammar.rules import Rules
from engine.text.grammar.schema import SchemaRules
from engine.text.grammar.spelling import literal
from engine.text.grammar.text import text_without
from engine.types import AnswerFormat, ToolDefinition


def answer_grammar(format: AnswerFormat) -> str:  # noqa: A002 - the field's name
    """The grammar of an answer of that form; empty for text. Raises `BadInput`."""
    match format.kind:
        case "json":
            return Rules().text("object")
        case "schema":
            rules = Rules()
            try:
                return rules.text(SchemaRules(rules, format.schema).rule(format.schema, ()))
            except CannotExpress as error:
                raise error.refusal("response_format.json_schema.schema") from error
    return format.grammar


class CallRules:
    """The rules of a grammar of calls."""

    def __init__(self, tools: Sequence[ToolDefinition], tokens: Mapping[str, int], dialect: Dialect = JSON) -> None:
        """`tokens`: the words that are control tokens of the model, and their ids."""
        self.rules = Rules(dialect)
        self._tools = tuple(tools)
        self._tokens = tokens
        self._texts: dict[tuple[tuple[str, ...], int, int | None], str] = {}

    def word(self, text: str) -> str:
        """`text` with the control tokens in it as tokens."""
        return word(text, self._tokens)

    def markup(self, text: str) -> str:
        """The same, for words between and behind calls: a line break in them stands for any white space."""
        return " ws ".join(map(self.word, text.split("\n"))).strip()

    def text(self, end: str, *others: str, low: int = 0, high: int | None = None) -> str:
        """The name of a rule for text that goes up to the word `end`, and has none of `others` inside.

        With a count of characters, it has not even the first two of `end`. Raises `TooLong`.
        """
        words = (end[:2] if low or high is not None else self._first_token(end), *others)
        if (words, low, high) not in self._texts:
            self._texts[words, low, high] = text_without(self.rules, words, low, high)
        return self._texts[words, low, high]

    def arguments(self, tool: ToolDefinition) -> str:
        """The rule of a tool's arguments. What its schema says too much is passed over where it is not strict."""
        schema = parameters(tool)
        try:
            return SchemaRules(self.rules, schema).rule(schema, ())
        except CannotExpress as error:
            if tool.strict:
                raise self.refusal(tool, error) from error
        try:
            return self._loose_arguments(SchemaRules(self.rules, schema), tool)
        except CannotExpress:
            return "object"

    def _loose_arguments(self, schemas: SchemaRules, tool: ToolDefinition) -> str:
        """Arguments each of which is held to its schema where that can be, else to its type."""
        named, required, others = separate_arguments(schemas, tool)
        for name, schema in named.items():
            try:
                schemas.rule(schema, (name,))
            except CannotExpress:
                named[name] = loosened(schema)
        loose = {"properties": named, "required": required, "additionalProperties": others and not named}
        return schemas.rule({"type": "object"} | loose, ())

    def refusal(self, tool: ToolDefinition, error: CannotExpress) -> BadInput:
        """The error for the client, whose tool has a schema that cannot be kept to."""
        return error.refusal(f"tools[{self._tools.index(tool)}].function.parameters")

    def _first_token(self, end: str) -> str:
        """`end`, or the first control token in it: its spelling has to be impossible as text, lest it passes for it."""
        found = _split(end, self._tokens)
        return next((part for part in found if part in self._tokens), end)


def loosened(schema: Any) -> dict[str, Any]:
    """What can be kept to of any schema: its type."""
    return {"type": schema["type"]} if isinstance(schema, dict) and "type" in schema else {}


def parameters(tool: ToolDefinition) -> dict[str, Any]:
    """The schema of a tool's arguments, which are an object."""
    return {"type": "object"} | tool.parameters


def separate_arguments(schemas: SchemaRules, tool: ToolDefinition) -> tuple[dict[str, Any], list[str], bool]:
    """A tool's arguments with their schemas, the names of those that must be there, and whether others may be.

    For syntaxes that write them one by one. What a schema says beyond that is passed over where the tool is not
    strict; raises `CannotExpress` where it is.
    """
    schema = document = parameters(tool)
    try:
        schema = schemas.flat(document, ())
        more = constraining(schema, "type", "properties", "required", "additionalProperties")
        if more:
            raise CannotExpress((next(iter(more)),), "arguments are written one by one")
    except CannotExpress:
        if tool.strict:
            raise
        schema = document
    named, required = properties(schema, ())
    others = schema.get("additionalProperties", True)
    for name in required:
        named.setdefault(name, others)
    return named, required, others is True


def word(text: str, tokens: Mapping[str, int]) -> str:
    """`text` as GBNF, with the control tokens in it as tokens."""
    parts = [f"<[{tokens[part]}]>" if part in tokens else literal(part) for part in _split(text, tokens)]
    return " ".join(parts)


def _split(text: str, tokens: Mapping[str, int]) -> list[str]:
    if not tokens:
        return [text] if text else []
    longest_first = sorted(tokens, key=len, reverse=True)
    return [part for part in re.split(f"({'|'.join(map(re.escape, longest_first))})", text) if part]
