"""GBNF in the making: named rules, literals, repetitions, and the rules of JSON itself."""

from __future__ import annotations

import json
from typing import Any

CHUNK = 100
"""Repetitions up to so many are written as they are; llama.cpp refuses counts in the thousands."""

_HEX = "[0-9a-fA-F]"
JSON = {
    # White space is bounded, lest a model that is at a loss writes nothing else.
    "ws": r'(" " | "\n" " "{0,16})?',
    # No halves of surrogate pairs: one escape is one character, and all text can be encoded.
    "char": r'[^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" '
    rf"([0-9a-cefA-CEF] {_HEX}{{3}} | [dD] [0-7] {_HEX}{{2}}))",
    "plain": r'[^"\\\x00-\x1F\x7F]',
    "string": r'"\"" char* "\""',
    "integer": '"-"? ("0" | [1-9] [0-9]{0,15})',
    "fraction": '"." [0-9]{1,16}',
    "number": "integer fraction? ([eE] [-+]? [0-9]{1,2})?",
    "boolean": '"true" | "false"',
    "null": '"null"',
    "object": '"{" ws (string ws ":" ws value (ws "," ws string ws ":" ws value)*)? ws "}"',
    "array": '"[" ws (value (ws "," ws value)*)? ws "]"',
    "value": "object | array | string | number | boolean | null",
}
"""The rules of JSON; `plain` is a character of a string that is written without an escape."""


class Rules:
    """The rules of one grammar. The rules of JSON are always among them."""

    def __init__(self) -> None:
        self._bodies: dict[str, str] = {}

    def add(self, hint: str, body: str) -> str:
        """A new rule; gives its name, which begins with `hint`'s letters."""
        name = self.reserve(hint)
        self.define(name, body)
        return name

    def reserve(self, hint: str) -> str:
        """A name that is to be defined later, for rules that refer to themselves."""
        letters = "".join(char for char in hint.lower() if char.isascii() and char.isalnum())[:20]
        name = f"{letters or 'rule'}-{len(self._bodies)}"
        self._bodies[name] = ""
        return name

    def define(self, name: str, body: str) -> None:
        """Gives a reserved name its body."""
        self._bodies[name] = body

    def text(self, root: str) -> str:
        """The whole grammar, whose answer is `root`."""
        bodies = {"root": root} | self._bodies | JSON
        return "".join(f"{name} ::= {body}\n" for name, body in bodies.items())


def literal(text: str) -> str:
    """`text` itself."""
    return '"' + "".join(_escaped(char, '"\\') for char in text) + '"'


def json_literal(value: Any) -> str:
    """The JSON text of `value`."""
    return literal(json.dumps(value, ensure_ascii=False))


def char_set(ranges: list[tuple[int, int]], *, negated: bool = False) -> str:
    """One character of (or, `negated`, outside) the ranges of code points, ends included."""
    parts = [
        _escaped(chr(low), "[]^-\\") + ("" if low == high else "-" + _escaped(chr(high), "[]^-\\"))
        for low, high in ranges
    ]
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def repeat(rules: Rules, item: str, low: int, high: int | None) -> str:
    """`item` (one symbol or a group) `low` to `high` times; `None` is without end."""
    if high is None:
        return f"{_exactly(rules, item, low)} {item}*".strip()
    return f"{_exactly(rules, item, low)} {_up_to(rules, item, high - low)}".strip()


def _exactly(rules: Rules, item: str, count: int) -> str:
    if count <= CHUNK:
        return f"{item}{{{count}}}" if count else ""
    chunk = rules.add("chunk", f"{item}{{{CHUNK}}}")
    return f"{_exactly(rules, chunk, count // CHUNK)} {_exactly(rules, item, count % CHUNK)}".strip()


def _up_to(rules: Rules, item: str, count: int) -> str:
    if count <= CHUNK:
        return f"{item}{{0,{count}}}" if count else ""
    chunk = rules.add("chunk", f"{item}{{{CHUNK}}}")
    whole, rest = divmod(count, CHUNK)
    full = _exactly(rules, chunk, whole)
    fewer = f"{_up_to(rules, chunk, whole - 1)} {item}{{0,{CHUNK}}}".strip()
    return f"({fewer} | {full} {_up_to(rules, item, rest)})" if rest else f"({fewer})"


def _escaped(char: str, special: str) -> str:
    code = ord(char)
    if char in special:
        return "\\" + char if char in '"\\[]' else f"\\x{code:02X}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02X}"
    if 0xD800 <= code < 0xE000 or code in (0x2028, 0x2029):
        return f"\\u{code:04X}"
    return char
