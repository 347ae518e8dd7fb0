"""Grammars for answers that are, or may be, calls of tools."""

from __future__ import annotations

import json
from collections.abc import Sequence

from engine.errors import Unsupported
from engine.text.grammar.errors import CannotExpress
from engine.text.grammar.rules import Rules, json_literal, literal
from engine.text.grammar.schema import SchemaRules
from engine.types import AnswerFormat, ToolDefinition

_OPEN, _MIDDLE, _CLOSE = "<tool_call>", '", "arguments": ', "</tool_call>"


def answer_grammar(format: AnswerFormat) -> str:  # noqa: A002 - the field's name
    """The grammar of an answer of that form; empty for text. Raises `BadInput`."""
    match format.kind:
        case "json":
            return Rules().text("object")
        case "schema":
            rules = Rules()
            return rules.text(_answer(rules, format))
    return format.grammar


def forced_call(syntax: str, tools: Sequence[ToolDefinition], name: str | None) -> str:
    """What has to follow the opening of a call of `name` (`None`: of any of `tools`); empty for other syntaxes.

    The opening, up to the name's quote or to the arguments, stands in the prompt already. Raises `BadInput`.
    """
    if syntax != "hermes":
        return ""
    rules = Rules()
    if name is not None:
        index, tool = next((index, tool) for index, tool in enumerate(tools) if tool.name == name)
        return rules.text(f"{_arguments(rules, tool, index)} {_end()}")
    heads = [
        f"{literal(_inside(tool.name))} {literal(_MIDDLE)} {_arguments(rules, tool, index)}"
        for index, tool in enumerate(tools)
    ]
    return rules.text(f"({' | '.join(heads)}) {_end()}")


def calls_or_answer(syntax: str, tools: Sequence[ToolDefinition], format: AnswerFormat) -> str:  # noqa: A002
    """The grammar of an answer that is of the form asked for, or calls tools. Raises `Unsupported` or `BadInput`."""
    if syntax != "hermes" or format.kind == "grammar":
        raise Unsupported(
            "This model cannot be given tools and the form of its answers at once.",
            meaning="A grammar for both is not known for its way of calling tools.",
            remedy="Leave out one of the two.",
            param="response_format",
        )
    rules = Rules()
    calls = [
        rules.add("call", f'"{{\\"name\\": " {json_literal(tool.name)} {literal(_MIDDLE[1:])} '
                          f"{_arguments(rules, tool, index)}")
        for index, tool in enumerate(tools)
    ]  # fmt: skip
    call = rules.add("call", f"{literal(_OPEN)} ws ({' | '.join(calls)}) {_end()}")
    return rules.text(f"{_answer(rules, format)} | {call} (ws {call}){{0,15}}")


def _answer(rules: Rules, format: AnswerFormat) -> str:  # noqa: A002
    if format.kind == "json":
        return "object"
    try:
        return SchemaRules(rules, format.schema).rule(format.schema, ())
    except CannotExpress as error:
        raise error.refusal("response_format.json_schema.schema") from error


def _arguments(rules: Rules, tool: ToolDefinition, index: int) -> str:
    """The rule of a tool's arguments: by its schema, or any object where that says too much and is not strict."""
    schema = {"type": "object"} | tool.parameters
    try:
        return SchemaRules(rules, schema).rule(schema, ())
    except CannotExpress as error:
        if tool.strict:
            raise error.refusal(f"tools[{index}].function.parameters") from error
        return "object"


def _end() -> str:
    return f'ws "}}" ws {literal(_CLOSE)}'


def _inside(name: str) -> str:
    """A name as it stands between the quotes of JSON."""
    return json.dumps(name, ensure_ascii=False)[1:-1]
