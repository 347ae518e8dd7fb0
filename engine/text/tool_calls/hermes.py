"""The Hermes syntax, also Qwen's: a JSON object between `<tool_call>` and `</tool_call>`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_calls import call_objects, closing
from engine.text.tool_calls.parser import BlockParser
from engine.text.tool_calls.reading import Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.types import ToolDefinition

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_MINIMAX_3 = "]<]minimax[>["  # its arguments are elements of any depth behind this mark, no JSON


class Hermes(Syntax):
    """`<tool_call>{"name": …, "arguments": {…}}</tool_call>`, as often as the model likes."""

    name = "hermes"
    markers = (OPEN, CLOSE)
    form = Form(end="\n}", following=f'\n{CLOSE}\n{OPEN}\n{{"name": "', close=f"\n{CLOSE}")

    def spoken_by(self, template: str) -> bool:
        """Whether the template shows the model the opening tag; other syntaxes that have it are asked before."""
        return OPEN in template and _MINIMAX_3 not in template

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> BlockParser:
        """A parser for one answer."""
        return BlockParser(_block, (OPEN,), new_id)

    def opening(self, name: str | None) -> str:
        """The first characters of a call."""
        begin = f'{OPEN}\n{{"name": '
        return f'{begin}"' if name is None else f'{begin}{json.dumps(name, ensure_ascii=False)}, "arguments": '


def _block(source: Source, calls: Calls, _opening: str) -> Reading[None]:
    yield from call_objects(source, calls)
    yield from closing(source, CLOSE)
