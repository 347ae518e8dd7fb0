"""Apertus's syntax: a list of objects with the tool's name for their only key, `[{"get_weather": {…}}]`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_calls import arguments, closing
from engine.text.tool_calls.parser import BlockParser
from engine.text.tool_calls.reading import Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.text.tool_calls.values import dumps
from engine.types import ToolDefinition

OPEN, CLOSE = "<|tools_prefix|>", "<|tools_suffix|>"


class Apertus(Syntax):
    """`<|tools_prefix|>[{"name": {…}}, …]<|tools_suffix|>`."""

    name = "apertus"
    markers = (OPEN, CLOSE)
    form = Form(end="\n}", following=',\n{"', last="\n]", close=CLOSE)

    def spoken_by(self, template: str) -> bool:
        """Whether the template has the opening word."""
        return OPEN in template

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> BlockParser:
        """A parser for one answer."""
        return BlockParser(_block, (OPEN,), new_id)

    def opening(self, name: str | None) -> str:
        """The first characters of a call."""
        return f'{OPEN}[{{"' if name is None else f"{OPEN}[{{{dumps(name)}: "


def _block(source: Source, calls: Calls, _opening: str) -> Reading[None]:
    yield from source.space()
    yield from source.expect("[")
    while True:
        yield from source.space()
        yield from source.expect("{")
        yield from source.space()
        yield from source.expect('"')
        name = yield from source.name('"')
        yield from source.space()
        yield from source.expect(":")
        yield from source.space()
        calls.begin(name)
        yield from arguments(source, calls)
        yield from source.space()
        yield from source.expect("}")
        calls.end()
        yield from source.space()
        if (yield from source.expect(",", "]")) == "]":
            break
    yield from closing(source, CLOSE)
