"""The Jinja environment that Hugging Face chat templates are written for, sandboxed.

`trim_blocks`, `lstrip_blocks`, loop controls, `raise_exception`, `strftime_now`, a `tojson` that leaves characters as
they are, and `{% generation %}`.
"""

from __future__ import annotations

import json
from collections.abc import Sized
from datetime import datetime
from typing import Any

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

_ITEMS = 16 * 1024 * 1024
_BITS = 4096
_MOST_WRITTEN = 1024 * 1024
"""Items of one value that is written as JSON."""


class Refused(Exception):
    """The template called `raise_exception`: it does not take these messages."""


def environment() -> Environment:
    """A fresh environment."""
    made = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation])
    made.filters["tojson"] = _tojson
    made.globals["raise_exception"] = _refuse
    made.globals["strftime_now"] = _strftime_now
    return made


class _Sandbox(ImmutableSandboxedEnvironment):
    """Multiplication and powers are bounded: one operation can take longer, and more memory, than any limit notices."""

    intercepted_binops = frozenset({"*", "**"})

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """What the standard sandbox allows, and `append`: some templates gather lists, which live as long as they."""
        return super().is_safe_attribute(obj, attr, value) or (isinstance(obj, list) and attr == "append")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuses what would give a number of thousands of digits or a sequence of millions of items."""
        if operator == "**" and (abs(left) > 2**32 or abs(right) > 256):
            raise OverflowError("the power is too large")
        for one, other in ((left, right), (right, left)):
            if isinstance(one, int) and one.bit_length() > _BITS:
                raise OverflowError("the number is too large")
            if isinstance(one, Sized) and isinstance(other, int) and len(one) * other > _ITEMS:
                raise OverflowError("the repetition is too long")
        return super().call_binop(context, operator, left, right)


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks, for training, what the model said; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - declared so by Jinja

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The statements between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refuse(message: str) -> str:
    raise Refused(message)


def _strftime_now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    _check_items(value)
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _check_items(value: Any) -> None:
    """Refuses what would be written as millions of items: lists may hold the same list twice, and that one again."""
    rest, seen = [value], 0
    while rest:
        item = rest.pop()
        inner = list(item.values()) if isinstance(item, dict) else item if isinstance(item, list | tuple) else ()
        seen += len(inner)
        if seen > _MOST_WRITTEN:
            raise OverflowError("there is too much to be written")
        rest.extend(inner)
