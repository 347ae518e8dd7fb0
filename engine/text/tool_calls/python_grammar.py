"""Grammars of arguments that are written as those of a call in Python."""

from __future__ import annotations

from typing import Any

from engine.text.grammar.calls import CallRules, loosened, parameters, separate_arguments
from engine.text.grammar.errors import CannotExpress
from engine.text.grammar.objects import members
from engine.text.grammar.schema import SchemaRules
from engine.text.grammar.spelling import literal
from engine.types import ToolDefinition


def keyword_arguments(rules: CallRules, tool: ToolDefinition) -> str:
    """GBNF of `key=value, …)`, in the schema's order.

    Raises `BadInput` for a strict schema that cannot be kept to, and for a required name that is none in Python.
    """
    schemas = SchemaRules(rules.rules, parameters(tool))
    try:
        named, required, _ = separate_arguments(schemas, tool)
        pairs = []
        for name, schema in named.items():
            place = ("properties", name)
            if name.isidentifier():
                value = _value(schemas, schema, place, strict=tool.strict)
                pairs.append((f"{literal(f'{name}=')} {value}", name in required))
            elif name in required:
                raise CannotExpress(place, "that name cannot be an argument's in the model's way of writing calls")
    except CannotExpress as error:
        raise rules.refusal(tool, error) from error
    return f"{members(rules.rules, pairs, comma=literal(', '))} {literal(')')}".strip()


def _value(schemas: SchemaRules, schema: Any, place: tuple[str, ...], *, strict: bool) -> str:
    """The rule of a value; of its type alone where its schema says too much and is not strict."""
    try:
        return schemas.rule(schema, place)
    except CannotExpress:
        if strict:
            raise
        return schemas.rule(loosened(schema), place)
