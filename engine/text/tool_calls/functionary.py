"""Functionary 3.2's format: an answer is a row of messages, `>>>all` for the user and `>>>name` for a tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_calls import arguments
from engine.text.tool_calls.parser import WholeParser
from engine.text.tool_calls.reading import Malformed, Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.types import ToolDefinition

MARK, USER = ">>>", "all"


class Functionary(Syntax):
    """The prompt ends behind the first `>>>`. In text it counts only before the name of a tool that is known."""

    name = "functionary-v3.2"
    whole = True
    markers: tuple[str, ...] = ()
    answer = f"{USER}\n"
    form = Form(following=MARK)

    def spoken_by(self, template: str) -> bool:
        """Whether the template writes such messages."""
        return f"{MARK}{USER}" in template

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> WholeParser:
        """A parser for one answer."""
        names = tuple(tool.name for tool in tools)

        def answer(source: Source, calls: Calls) -> Reading[None]:
            return _answer(source, calls, names)

        return WholeParser(answer, new_id)

    def opening(self, name: str | None) -> str:
        """The first characters of a call; of any tool there are none."""
        return "" if name is None else f"{name}\n"


def _answer(source: Source, calls: Calls, names: tuple[str, ...]) -> Reading[None]:
    heads = (f"{USER}\n", *(f"{name}\n" for name in names))
    marks = tuple(MARK + head for head in heads)
    head = yield from source.expect(*heads)
    while True:
        name = head.strip()
        if name == USER:
            head = (yield from source.flow(calls.say, *marks)).removeprefix(MARK)
            continue
        calls.begin(name)
        yield from source.space()
        if (yield from source.peek()) != "{":
            raise Malformed
        yield from arguments(source, calls)
        yield from source.space()
        if source.over and not source.rest:
            return
        head = (yield from source.expect(*marks)).removeprefix(MARK)
