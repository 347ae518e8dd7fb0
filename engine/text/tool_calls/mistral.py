"""Mistral's syntax: `[TOOL_CALLS][{…}, …]`, and the newer `[TOOL_CALLS]name[CALL_ID]id[ARGS]{…}`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_calls import arguments, call_objects
from engine.text.tool_calls.json_object import Keys
from engine.text.tool_calls.parser import BlockParser
from engine.text.tool_calls.reading import Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.types import ToolDefinition

OPEN, IDENTITY, ARGUMENTS = "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"
_ID_SIZE = 9


class Mistral(Syntax):
    """Both forms are read; `named` says in which of them a call that has to be made begins."""

    markers = (OPEN, IDENTITY, ARGUMENTS)

    def __init__(self, *, named: bool) -> None:
        self.name = "mistral-named" if named else "mistral"
        self._named = named
        self.form = Form(following=OPEN) if named else Form(end="\n}", following=',\n{"name": "', last="\n]")

    def spoken_by(self, template: str) -> bool:
        """Whether the template has the opening word, and says which form."""
        return OPEN in template and (ARGUMENTS in template) == self._named

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> BlockParser:
        """A parser for one answer; its ids are as Mistral's templates demand."""
        return BlockParser(_block, (OPEN,), lambda: self.own_id(new_id()))

    def opening(self, name: str | None) -> str:
        """The first characters of a call."""
        if self._named:
            return OPEN if name is None else f"{OPEN}{name}{ARGUMENTS}"
        begin = f'{OPEN}[{{"name": '
        return f'{begin}"' if name is None else f'{begin}{json.dumps(name, ensure_ascii=False)}, "arguments": '

    def own_id(self, identity: str) -> str:
        """Nine letters and digits: the id itself, or some that are always the same for it."""
        if len(identity) == _ID_SIZE and identity.isascii() and identity.isalnum():
            return identity
        return hashlib.blake2b(identity.encode("utf-8", "replace")).hexdigest()[:_ID_SIZE]


def _block(source: Source, calls: Calls, _opening: str) -> Reading[None]:
    yield from source.space()
    if (yield from source.peek()) in "[{":
        yield from call_objects(source, calls, Keys(identity=("id",)))
        return
    while True:
        name, end = yield from source.named(IDENTITY, ARGUMENTS, "{")
        identity = None
        if end == IDENTITY:
            identity, end = yield from source.named(ARGUMENTS, "{")
        if end == "{":
            source.skip(-1)
        calls.begin(name, identity)
        yield from source.space()
        yield from arguments(source, calls)
        yield from source.space()
        if not (yield from source.accept(OPEN)):
            return
