"""Llama 3's syntax: `{"name": …, "parameters": …}` as the whole of an answer, or behind `<|python_tag|>`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_calls import call_object
from engine.text.tool_calls.json_object import Keys
from engine.text.tool_calls.parser import BlockParser
from engine.text.tool_calls.pythonic import python_arguments
from engine.text.tool_calls.reading import Malformed, Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.text.tool_calls.values import Arguments, Schemas
from engine.types import ToolDefinition

TAG = "<|python_tag|>"
_KEYS = Keys(name=("name", "function"), others=False)
_CALL = ".call("


class Llama(Syntax):
    """A bare object counts only at the beginning of an answer, and when it names a tool that is known.

    Behind the tag `name.call(key="value")` is read too, the form of Llama 3.1's built-in tools.
    """

    name = "llama-3"
    markers = (TAG,)
    form = Form(end="\n}", following='; {"name": "')

    def spoken_by(self, template: str) -> bool:
        """Whether the template asks for such objects."""
        return '{"name": function name, "parameters": dictionary' in template or TAG in template

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> BlockParser:
        """A parser for one answer."""
        schemas = Schemas(tools)

        def block(source: Source, calls: Calls, opening: str) -> Reading[None]:
            return _block(source, calls, opening, schemas)

        return BlockParser(block, (TAG,), new_id, bare=("{",))

    def opening(self, name: str | None) -> str:
        """The first characters of a call."""
        begin = '{"name": '
        return f'{begin}"' if name is None else f'{begin}{json.dumps(name, ensure_ascii=False)}, "parameters": '


def _block(source: Source, calls: Calls, opening: str, schemas: Schemas) -> Reading[None]:
    if opening == TAG:
        yield from source.space()
        if (yield from source.peek()) != "{":
            yield from _built_in(source, calls, schemas)
            return
    else:
        source.skip(-1)
    known = None if opening == TAG else schemas.tools
    while True:
        yield from call_object(source, calls, _KEYS, among=known)
        yield from source.space()
        more = yield from source.accept(";", ",", TAG)
        yield from source.space()
        if not more and not (yield from source.at("{")):
            return


def _built_in(source: Source, calls: Calls, schemas: Schemas) -> Reading[None]:
    name = yield from source.name(_CALL)
    if not name.isidentifier():
        raise Malformed
    calls.begin(name)
    yield from python_arguments(source, Arguments(calls, schemas, name), schemas.arguments(name))
