"""Grammars for calls that are JSON."""

from __future__ import annotations

from collections.abc import Collection

from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_object import OPENAI, CallObject, JsonValue, Keys
from engine.text.tool_calls.reading import Malformed, Reading, Source


def call_object(
    source: Source, calls: Calls, keys: Keys = OPENAI, *, among: Collection[str] | None = None
) -> Reading[None]:
    """Reads `{"name": …, "arguments": {…}}` and tells its call.

    Raises `Malformed` when there is something else, or the name is not `among` those that are known.
    """
    call = CallObject(keys)
    told = False
    while not call.ended:
        yield from source.peek()
        size, fault = 0, False
        for char in source.rest:
            try:
                call.push(char)
            except Malformed:
                fault = True
                break
            size += 1
            if call.ended or (call.name is not None and not told):
                break
        source.skip(size)
        if call.name is not None and not told:
            if among is not None and call.name not in among:
                raise Malformed
            calls.begin(call.name, call.identity)
            told = True
        if told:
            calls.write(call.take_arguments())
        if fault:
            raise Malformed
    calls.end()


def call_objects(source: Source, calls: Calls, keys: Keys = OPENAI) -> Reading[None]:
    """Reads objects one after another, or a list of them."""
    yield from source.space()
    listed = yield from source.accept("[")
    while True:
        yield from source.space()
        yield from call_object(source, calls, keys)
        yield from source.space()
        if not (yield from source.accept(",")) and (listed or not (yield from source.at("{"))):
            break
    if listed:
        yield from source.expect("]")


def arguments(source: Source, calls: Calls) -> Reading[None]:
    """Reads a JSON object: the arguments of the call that was told last, which it ends."""
    if (yield from source.peek()) != "{":
        raise Malformed
    value = JsonValue("{")
    calls.write("{")
    source.skip(1)
    while not value.ended:
        yield from source.peek()
        written = []
        for char in source.rest:
            written.append(value.push(char))
            if value.ended:
                break
        source.skip(len(written))
        calls.write("".join(written))
    calls.end()


def closing(source: Source, *words: str) -> Reading[None]:
    """Reads white space and one of `words`, when it comes next; without one the block is over all the same.

    A word that the end of the answer cut off counts.
    """
    yield from source.space()
    if not (yield from source.accept(*words)) and source.over and any(word.startswith(source.rest) for word in words):
        source.skip(len(source.rest))
