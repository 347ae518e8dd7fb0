"""How the values of arguments are written: JSON, and what some syntaxes of tool calls make of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from engine.text.grammar.spelling import Spelling, char_set, literal

_HEX = "[0-9a-fA-F]"
# No halves of surrogate pairs: one escape is one character, and all text can be encoded.
_CODE = rf'"u" ([0-9a-cefA-CEF] {_HEX}{{3}} | [dD] [0-7] {_HEX}{{2}})'
_CONTROL = [(0, 31), (127, 127)]
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\b": "\\b"}
_RULES = {
    # White space is bounded, lest a model that is at a loss writes nothing else.
    "ws": r'(" " | "\n" " "{0,16})?',
    "char": rf'[^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | {_CODE})',
    "plain": r'[^"\\\x00-\x1F\x7F]',
    "string": r'"\"" char* "\""',
    "key": "string",
    "keyrest": "plain*",
    "integer": '"-"? ("0" | [1-9] [0-9]{0,15})',
    "fraction": '"." [0-9]{1,16}',
    "number": "integer fraction? ([eE] [-+]? [0-9]{1,2})?",
    "boolean": '"true" | "false"',
    "null": '"null"',
    "object": '"{" ws (key ws ":" ws value (ws "," ws key ws ":" ws value)*)? ws "}"',
    "array": '"[" ws (value (ws "," ws value)*)? ws "]"',
    "value": "object | array | string | number | boolean | null",
}


class Dialect(Struct, frozen=True, kw_only=True):
    """A way of writing data."""

    rules: dict[str, str]
    """The rules of values of any kind; `char` is a character of a text, `plain` one that is no escape, and `keyrest`
    what a key goes on with."""
    value: Callable[[Any], str | None]
    """GBNF of one value; `None` when it cannot be written."""
    key: Callable[[str], str | None]
    """GBNF of the key of a member, likewise."""
    spelling: Spelling
    """Of the text between quotes."""
    key_spelling: Spelling
    """Of keys between quotes."""
    quote: str = r'"\""'
    """GBNF of what begins and ends a text."""


_SPELLING = Spelling(escapes=_ESCAPES, forbidden=[*_CONTROL, (34, 34), (92, 92)])


def _json_value(value: Any) -> str:
    return literal(json.dumps(value, ensure_ascii=False))


JSON = Dialect(rules=_RULES, value=_json_value, key=_json_value, spelling=_SPELLING, key_spelling=_SPELLING)


def json_without(pair: str) -> Dialect:
    """JSON in which two characters never follow each other: a closing tag begins with them, and would end the value.

    The first of the two is written as an escape where the second one, or a count of characters, would follow.
    """
    first, second = pair[0], pair[1]
    code = f"\\u{ord(first):04x}"
    avoided = (ord(first), ord(first))
    spelling = Spelling(escapes=_ESCAPES | {first: code}, forbidden=[*_SPELLING.forbidden, avoided])
    after = char_set([*_SPELLING.forbidden, avoided, (ord(second), ord(second))], negated=True)
    rules = _RULES | {
        "char": rf'{spelling.plain} | "\\" (["\\/bfnrt] | {_CODE})',
        "plain": spelling.plain,
        "string": rf'"\"" (char | {literal(first)}+ {after})* "\""',
    }

    def value(data: Any) -> str:
        return literal(json.dumps(data, ensure_ascii=False).replace(first, code))

    return Dialect(rules=rules, value=value, key=value, spelling=spelling, key_spelling=spelling)


def _python_value(value: Any) -> str:
    return literal(_python(value))


def _python(value: Any) -> str:
    match value:
        case None | bool():
            return str(value)
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)}: {_python(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_python, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


# Python knows no escaped slash.
PYTHON = Dialect(
    rules=_RULES
    | {
        "char": rf'[^"\\\x00-\x1F\x7F] | "\\" (["\\bfnrt] | {_CODE})',
        "boolean": '"True" | "False"',
        "null": '"None"',
    },
    value=_python_value,
    key=_python_value,
    spelling=_SPELLING,
    key_spelling=_SPELLING,
)
"""Python's literals."""


def raw(first: str) -> Spelling:
    """Text of one line as it is, but without the character `first`, with which its end begins."""
    return Spelling(escapes={}, forbidden=[*_CONTROL, (ord(first), ord(first))])


def quoted(quote: str, mark: str, text: str, text_rules: dict[str, str]) -> Dialect:
    """JSON with bare keys, no white space, and text as it is between words `quote`.

    `mark` is that word as GBNF, `text` the name of a rule, among `text_rules`, for texts without it.
    """
    spelling = raw(quote[0])
    keys = Spelling(escapes={}, forbidden=[(0, 32), (ord(quote[0]), ord(quote[0])), (127, 0x10FFFF)])

    def value(data: Any) -> str | None:
        parts = list(_quoted(data, quote))
        if None in parts:
            return None
        return " ".join(mark if part == quote else literal(part) for part in parts if part)

    def key(name: str) -> str | None:
        if name.isascii() and name.isidentifier():
            return literal(name)
        return value(name) if name == name.strip() else None

    rules = _RULES | text_rules | {
        "ws": '""',
        "char": rf"{spelling.plain} | [\n\t]",
        "plain": spelling.plain,
        "string": f"{mark} {text} {mark}",
        "key": "[a-zA-Z_] [a-zA-Z0-9_]{0,60}",
        "keyrest": f"{keys.plain}{{0,60}}",
    }  # fmt: skip
    return Dialect(rules=rules, value=value, key=key, spelling=spelling, key_spelling=keys, quote=mark)


def _quoted(data: Any, quote: str) -> Iterator[str | None]:
    """The pieces of a value, `quote` among them; `None` for what cannot be written."""
    match data:
        case str():
            yield from (quote, None if quote in data else data, quote)
        case dict():
            for index, (key, item) in enumerate(data.items()):
                yield "," if index else "{"
                yield from _quoted(key, quote) if key == key.strip() else [None]
                yield ":"
                yield from _quoted(item, quote)
            yield "}" if data else "{}"
        case list():
            for index, item in enumerate(data):
                yield "," if index else "["
                yield from _quoted(item, quote)
            yield "]" if data else "[]"
        case _:
            yield json.dumps(data)
