"""Arguments that are written as plain text: what they are is said by the tool's JSON schema."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.reading import Reading, Source
from engine.types import ToolDefinition

_TEXT = frozenset({"string"})


class Schemas:
    """The types of the tools' arguments."""

    def __init__(self, tools: Sequence[ToolDefinition]) -> None:
        self._documents = {tool.name: tool.parameters for tool in tools}
        self._properties = {name: _properties(schema, schema, 0) for name, schema in self._documents.items()}
        self.tools = frozenset(self._properties)
        """The names of the tools."""

    def allow(self, tool: str) -> bool:
        """Whether there is such a tool; anything goes where no tools are known."""
        return not self.tools or tool in self.tools

    def arguments(self, tool: str) -> list[str]:
        """The names of a tool's arguments, in their order."""
        return list(self._properties.get(tool, {}))

    def types(self, tool: str, argument: str) -> frozenset[str]:
        """The types that an argument may have; empty when that is not known."""
        return frozenset(_types(self._properties.get(tool, {}).get(argument), self._documents.get(tool, {}), 0))


class Arguments:
    """Writes the arguments of one call, value by value, as one JSON object."""

    def __init__(self, calls: Calls, schemas: Schemas, tool: str) -> None:
        self._calls = calls
        self._schemas = schemas
        self._tool = tool
        self._empty = True

    def is_text(self, key: str) -> bool:
        """Whether the argument can be text alone, so that its value need not be complete to be written."""
        return self._schemas.types(self._tool, key) == _TEXT

    def begin(self, key: str) -> None:
        """Writes the key; its value follows, by `write`."""
        self._calls.write(("{" if self._empty else ", ") + dumps(key) + ": ")
        self._empty = False

    def write(self, text: str) -> None:
        """Writes JSON text as it is."""
        self._calls.write(text)

    def write_text(self, text: str) -> None:
        """Writes text that stands in a JSON string."""
        self._calls.write(dumps(text)[1:-1])

    def put(self, key: str, text: str) -> None:
        """Writes an argument given as plain text, as what its schema says."""
        self.begin(key)
        self.write(typed(text, self._schemas.types(self._tool, key)))

    def end(self) -> None:
        """Ends the object, and the call."""
        self._calls.write("{}" if self._empty else "}")
        self._calls.end()


def value(
    source: Source, arguments: Arguments, key: str, close: str, *, text: bool | None = None, lines: bool = False
) -> Reading[None]:
    """Reads the value of an argument, up to `close` and over it.

    `text` says whether it is text, where the syntax knows; else the schema does. With `lines`, a line break at either
    end is markup.
    """
    ends = (f"\n{close}", close) if lines else (close,)
    if not (arguments.is_text(key) if text is None else text):
        plain, _ = yield from source.until(*ends)
        arguments.put(key, plain.removeprefix("\n") if lines else plain)
        return
    arguments.begin(key)
    arguments.write('"')
    if not lines or not (yield from source.accept(*ends)):
        if lines:
            yield from source.accept("\n")
        yield from source.flow(arguments.write_text, *ends)
    arguments.write('"')


def typed(text: str, types: frozenset[str]) -> str:
    """`text` as JSON of one of `types`; as a JSON string when it is none of the others, or text is all it may be."""
    if types == _TEXT:
        return dumps(text)
    for data, written in _readings(text.strip()):
        if not types or (_type(data) & types and not isinstance(data, str)):
            return written
    return dumps(text)


def dumps(data: Any) -> str:
    """`data` as JSON text that can be encoded."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(data, allow_nan=False)
    return text


def python_data(text: str) -> Any:
    """The data that a Python literal stands for. Raises `ValueError`."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.literal_eval(text)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(text) from error


def _readings(text: str) -> Iterator[tuple[Any, str]]:
    """What `text` can be read as: JSON, and a Python literal."""
    with suppress(ValueError, RecursionError):
        yield json.loads(text, parse_constant=_refuse), text
    if text.lower() in ("true", "false", "null", "none"):
        word = text.lower().replace("none", "null")
        yield json.loads(word), word
    elif text[:1] in ("[", "{", "("):
        try:
            data = python_data(text)
            yield data, dumps(data)
        except (ValueError, TypeError, RecursionError):
            return


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _type(data: Any) -> frozenset[str]:
    """The schema's names for the type of `data`."""
    if isinstance(data, float):
        return frozenset({"number", "integer"} if data.is_integer() else {"number"})
    kinds = {bool: ("boolean",), int: ("integer", "number"), str: ("string",), dict: ("object",), type(None): ("null",)}
    return frozenset(kinds.get(type(data), ("array",)))


def _properties(schema: Any, document: dict[str, Any], depth: int) -> dict[str, Any]:
    """The properties of an object's schema, those of its references and of `allOf` among them."""
    if not isinstance(schema, dict) or depth > 8:
        return {}
    found: dict[str, Any] = {}
    for part in (*_sequence(schema.get("allOf")), *_referred(schema, document)):
        found |= _properties(part, document, depth + 1)
    return found | _mapping(schema.get("properties"))


def _referred(schema: dict[str, Any], document: dict[str, Any]) -> list[Any]:
    """What a schema refers to, where that is a part of the same document."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return []
    target: Any = document
    for part in reference[2:].split("/"):
        target = _mapping(target).get(part.replace("~1", "/").replace("~0", "~"))
    return [target]


def _types(schema: Any, document: dict[str, Any], depth: int) -> Iterator[str]:
    """The types that a schema allows, as far as it says so in plain words."""
    if not isinstance(schema, dict) or depth > 8:
        return
    for target in _referred(schema, document):
        yield from _types(target, document, depth + 1)
    named = schema.get("type")
    yield from (name for name in _sequence(named) or [named] if isinstance(name, str))
    for key in ("anyOf", "oneOf", "allOf"):
        for option in _sequence(schema.get(key)):
            yield from _types(option, document, depth + 1)
    if not named:
        for choice in [*_sequence(schema.get("enum")), *([schema["const"]] if "const" in schema else [])]:
            yield from _type(choice)


def _mapping(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}


def _sequence(data: Any) -> list[Any]:
    return data if isinstance(data, list) else []
