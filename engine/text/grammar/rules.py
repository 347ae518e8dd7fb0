"""GBNF in the making: named rules, and the rules of the dialect that values are written in."""

from __future__ import annotations

import re

from engine.text.grammar.dialects import JSON, Dialect

CHUNK = 100
"""Repetitions up to so many are written as they are; llama.cpp refuses counts in the thousands."""
_SYMBOL = re.compile(r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|[a-z][a-z0-9-]*')


class Rules:
    """The rules of one grammar. Those of its dialect are always among them."""

    def __init__(self, dialect: Dialect = JSON) -> None:
        self.dialect = dialect
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
        bodies = {"root": root} | self._bodies | self.dialect.rules
        return "".join(f"{name} ::= {body}\n" for name, body in bodies.items())


def prefixed(text: str, prefix: str) -> str:
    """A grammar with `prefix` before the names of its rules, so that it can stand beside another one."""
    return _SYMBOL.sub(lambda found: prefix + found[0] if found[0][0].isalpha() else found[0], text)


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
