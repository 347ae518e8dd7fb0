"""Gemma's syntax: `call:name{key:value,…}` between tokens of its own, with a token for quotation marks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from engine.text.grammar.calls import CallRules, word
from engine.text.grammar.dialects import quoted
from engine.text.grammar.text import text_rules
from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_calls import closing
from engine.text.tool_calls.parser import BlockParser
from engine.text.tool_calls.reading import Malformed, Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.text.tool_calls.values import dumps, typed
from engine.types import ToolDefinition

_CALL = "call:"
_DEPTH = 32


class Gemma(Syntax, Struct, frozen=True, kw_only=True):
    """Values are text between quotes, numbers, `true`, `false`, `null`, lists and objects; keys stand bare."""

    name: str
    open: str
    close: str
    quote: str

    @property
    def markers(self) -> tuple[str, ...]:
        """Its words."""
        return (self.open, self.close, self.quote)

    def spoken_by(self, template: str) -> bool:
        """Whether the template has the opening word."""
        return self.open in template

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> BlockParser:
        """A parser for one answer."""
        return BlockParser(self._block, (self.open,), new_id)

    def opening(self, name: str | None) -> str:
        """The first characters of a call."""
        return f"{self.open}{_CALL}" + (name or "")

    @property
    def form(self) -> Form:
        """A block for each call."""
        return Form(following=f"{self.close}{self.open}{_CALL}", close=self.close)

    def rules(self, tools: Sequence[ToolDefinition], tokens: Mapping[str, int]) -> CallRules:
        """An empty grammar, whose values are as the syntax has them."""
        return CallRules(tools, tokens, quoted(self.quote, word(self.quote, tokens), "raw", text_rules(self.quote)))

    def _block(self, source: Source, calls: Calls, _opening: str) -> Reading[None]:
        while True:
            yield from source.space()
            yield from source.expect(_CALL)
            calls.begin((yield from source.name("{")))
            yield from self._object(source, calls.write, 0)
            calls.end()
            yield from closing(source, self.close)
            yield from source.space()
            if not (yield from source.accept(self.open)):
                return

    def _object(self, source: Source, write: Callable[[str], None], depth: int) -> Reading[None]:
        """Reads the members of an object and its closing brace."""
        write("{")
        separator = ""
        while True:
            yield from source.space()
            if (yield from source.accept("}")):
                break
            if separator:
                yield from source.expect(",")
                yield from source.space()
            quote = yield from source.accept(self.quote, '"')
            if quote:
                key, _ = yield from source.until(quote, limit=256)
                yield from source.space()
                yield from source.expect(":")
            else:
                key, _ = yield from source.until(":", limit=256)
            write(separator + dumps(key.strip()) + ": ")
            separator = ", "
            yield from self._value(source, write, depth)
        write("}")

    def _list(self, source: Source, write: Callable[[str], None], depth: int) -> Reading[None]:
        write("[")
        separator = ""
        while True:
            yield from source.space()
            if (yield from source.accept("]")):
                break
            if separator:
                yield from source.expect(",")
            write(separator)
            separator = ", "
            yield from self._value(source, write, depth)
        write("]")

    def _value(self, source: Source, write: Callable[[str], None], depth: int) -> Reading[None]:
        if depth > _DEPTH:
            raise Malformed
        yield from source.space()
        begin = yield from source.accept(self.quote, '"', "{", "[")
        if begin == "{":
            yield from self._object(source, write, depth + 1)
        elif begin == "[":
            yield from self._list(source, write, depth + 1)
        elif begin:
            write('"')
            yield from source.flow(lambda text: write(dumps(text)[1:-1]), begin)
            write('"')
        else:
            text, end = yield from source.until(",", "}", "]", limit=256)
            source.skip(-len(end))
            write(typed(text.strip(), frozenset()))


def gemma() -> tuple[Gemma, Gemma]:
    """Gemma 4's form, and that of FunctionGemma."""
    return (
        Gemma(name="gemma-4", open="<|tool_call>", close="<tool_call|>", quote='<|"|>'),
        Gemma(
            name="function-gemma",
            open="<start_function_call>",
            close="<end_function_call>",
            quote="<escape>",
        ),
    )
