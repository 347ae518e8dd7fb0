"""Grammars of arguments that are written one by one, as plain text: the counterpart of `values`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from engine.text.grammar.calls import CallRules, parameters, separate_arguments
from engine.text.grammar.dialects import json_without
from engine.text.grammar.errors import CannotExpress
from engine.text.grammar.schema import SchemaRules
from engine.text.grammar.spelling import literal
from engine.text.tool_calls.plain_values import Alternatives, PlainValues
from engine.text.tool_calls.reading import name_fits
from engine.text.tool_calls.values import Schemas
from engine.types import ToolDefinition

TAGS = json_without("</")
"""The JSON of values that a closing tag ends."""
_ANY_KEY = "[a-zA-Z_] [a-zA-Z0-9_]{0,40}"


class Element(Struct, frozen=True, kw_only=True):
    """How an argument is written."""

    before: str
    """Stands before its name."""
    between: Mapping[bool | None, str]
    """Stands between name and value: of text (`True`), of other data (`False`), or of any value (`None`)."""
    behind: str
    """Ends the value."""
    line: str = ""
    """Stands at both ends of the value."""
    kept_out: tuple[str, ...] = ()
    """Further words that a text cannot have, since they would be taken for markup."""


def plain_arguments(rules: CallRules, tool: ToolDefinition, element: Element) -> str:
    """GBNF of a tool's arguments, an element for each, in the schema's order.

    Raises `BadInput` for a strict schema that cannot be kept to, and for a required name that cannot be written.
    """
    return _Arguments(rules, tool, element).all()


class _Arguments:
    """The arguments of one tool."""

    def __init__(self, rules: CallRules, tool: ToolDefinition, element: Element) -> None:
        self._rules = rules
        self._tool = tool
        self._element = element
        self._told = None not in element.between
        self._schemas = SchemaRules(rules.rules, parameters(tool))
        self._values = PlainValues(rules, self._schemas, element.behind, element.kept_out)
        self._read = Schemas((tool,))

    def all(self) -> str:
        try:
            named, required, others = separate_arguments(self._schemas, self._tool)
            parts = [self._argument(name, value, needed=name in required) for name, value in named.items()]
        except CannotExpress as error:
            raise self._rules.refusal(self._tool, error) from error
        if not named and others:
            key = self._rules.rules.add("key", _ANY_KEY)
            parts.append(f"({self._written(key, self._values.free(frozenset()))} ws){{0,8}}")
        return " ".join(filter(None, parts)) or '""'

    def _argument(self, name: str, schema: Any, *, needed: bool) -> str:
        """One argument with white space behind it; empty where it need not be written and cannot be."""
        place, types = ("properties", name), self._read.types(self._tool.name, name)
        if not name_fits(name):
            if needed:
                raise CannotExpress(place, "that name has no place in the model's way of writing calls")
            return ""
        try:
            found = self._values.alternatives(schema, place, types, told=self._told)
        except CannotExpress:
            if self._tool.strict:
                raise
            found = self._values.free(types)
        argument = self._written(literal(name), found)
        return f"{argument} ws" if needed else f"({argument} ws)?"

    def _written(self, name: str, values: Alternatives) -> str:
        """The name of a rule for an argument."""
        element, word = self._element, self._rules.word
        parts = []
        for kind, between in element.between.items():
            fitting = " | ".join(dict.fromkeys(value for text, value in values if kind in (None, text)))
            if fitting:
                parts.append(f"{word(between + element.line)} ({fitting}) {word(element.line + element.behind)}")
        return self._rules.rules.add("argument", f"{word(element.before)} {name} ({' | '.join(parts)})")
