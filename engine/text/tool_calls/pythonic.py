"""Calls written as Python: `[get_weather(city="Paris"), now()]`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from engine.text.grammar.calls import CallRules
from engine.text.grammar.dialects import PYTHON
from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_calls import closing
from engine.text.tool_calls.parser import BlockParser
from engine.text.tool_calls.python_grammar import keyword_arguments
from engine.text.tool_calls.reading import Malformed, Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.text.tool_calls.values import Arguments, Schemas, dumps, python_data, typed
from engine.types import ToolDefinition

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "\n": ""}
_HEX = {"x": 2, "u": 4, "U": 8}
_CLOSING = {"(": ")", "[": "]", "{": "}"}


class Pythonic(Syntax, Struct, frozen=True, kw_only=True):
    """A list of calls, or calls line by line; between words of its own, or as the whole of an answer."""

    name: str
    taught: tuple[str, ...]
    """What a template that teaches it says: one of these."""
    openings: tuple[str, ...] = ()
    closings: tuple[str, ...] = ()
    listed: bool = True
    bare: bool = False
    """A list at the beginning of an answer needs no word before it; only tools that are known count there."""

    @property
    def markers(self) -> tuple[str, ...]:
        """Its words."""
        return tuple(word for word in (*self.openings, *self.closings) if word.startswith("<"))

    def spoken_by(self, template: str) -> bool:
        """Whether the template has one of its words."""
        return any(word in template for word in self.taught)

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> BlockParser:
        """A parser for one answer."""
        schemas = Schemas(tools)

        def block(source: Source, calls: Calls, opening: str) -> Reading[None]:
            return self._block(source, calls, opening, schemas)

        return BlockParser(block, self.openings, new_id, bare=("[",) if self.bare else ())

    def opening(self, name: str | None) -> str:
        """The first characters of a call."""
        begin = ("" if self.bare else self.openings[0]) + ("[" if self.listed else "")
        return begin if name is None else f"{begin}{name}("

    @property
    def form(self) -> Form:
        """The list goes on, or its end follows."""
        close = "\n" + self.closings[0]
        if not self.listed:
            return Form(following="\n", close=close)
        return Form(following=", ", last="\n]", close="" if self.bare else close)

    def rules(self, tools: Sequence[ToolDefinition], tokens: Mapping[str, int]) -> CallRules:
        """An empty grammar, whose values are Python's."""
        return CallRules(tools, tokens, PYTHON)

    def body(self, rules: CallRules, tool: ToolDefinition) -> str:
        """Arguments with their names, and the closing parenthesis."""
        return keyword_arguments(rules, tool)

    def _block(self, source: Source, calls: Calls, opening: str, schemas: Schemas) -> Reading[None]:
        yield from source.space()
        listed = opening == "[" or bool((yield from source.accept("[")))
        yield from python_calls(source, calls, schemas, known=opening == "[")
        if listed:
            yield from source.space()
            yield from source.expect("]")
            calls.end()
        yield from closing(source, *self.closings)


def python_calls(source: Source, calls: Calls, schemas: Schemas, *, known: bool) -> Reading[None]:
    """Reads calls separated by commas or by nothing; with `known`, `Malformed` for tools that are not known."""
    while True:
        yield from source.space()
        name = yield from source.name("(")
        wrapped = name == "print" and name not in schemas.tools
        if wrapped:
            name = yield from source.name("(")
        if not name.replace(".", "_").replace("-", "_").isidentifier() or (known and name not in schemas.tools):
            raise Malformed
        calls.begin(name)
        yield from python_arguments(source, Arguments(calls, schemas, name), schemas.arguments(name))
        if wrapped:
            yield from closing(source, ")")
        yield from source.space()
        more = yield from source.accept(",", ";")
        yield from source.space()
        if not more and not (yield from _at_name(source)):
            return


def python_arguments(source: Source, arguments: Arguments, names: list[str]) -> Reading[None]:
    """Reads arguments up to the closing parenthesis; those without a name have the schema's, in its order."""
    place = 0
    while True:
        yield from source.space()
        if (yield from source.accept(")")):
            break
        key = yield from _key(source)
        if not key:
            if place >= len(names):
                raise Malformed
            key = names[place]
        place += 1
        yield from source.space()
        arguments.begin(key)
        yield from _value(source, arguments)
        yield from source.space()
        if not (yield from source.accept(",")) and not (yield from source.at(")")):
            raise Malformed
    arguments.end()


def _at_name(source: Source) -> Reading[bool]:
    while not source.rest and not source.over:
        yield
    return source.rest[:1].isidentifier()


def _key(source: Source) -> Reading[str]:
    """`name=`; empty, and nothing is read, when something else is there."""
    size = 0
    while True:
        while size == len(source.rest):
            yield from source.more()
        char = source.rest[size]
        if char == "=" and size:
            key = source.rest[:size].strip()
            source.skip(size + 1)
            return key
        if not (char.isidentifier() or char.isdigit() or char == " "):
            return ""
        size += 1


def _value(source: Source, arguments: Arguments) -> Reading[None]:
    quote = yield from source.accept('"""', "'''", '"', "'")
    if quote:
        arguments.write('"')
        yield from _string(source, arguments, quote)
        arguments.write('"')
        return
    text = yield from _literal(source)
    try:
        arguments.write(dumps(python_data(text)))
    except (ValueError, TypeError, RecursionError):
        arguments.write(typed(text, frozenset()))


def _string(source: Source, arguments: Arguments, quote: str) -> Reading[None]:
    """Passes the characters of a string on, up to the closing quote."""
    while True:
        end = yield from source.flow(arguments.write_text, quote, "\\")
        if end == quote:
            return
        char = yield from source.peek()
        source.skip(1)
        if char in _HEX:
            arguments.write_text((yield from _character(source, char)))
        else:
            arguments.write_text(_ESCAPES.get(char, char if char in "\\'\"" else "\\" + char))


def _character(source: Source, kind: str) -> Reading[str]:
    """The character that `\\x41` and its kin stand for, or what was written when it is none."""
    size = _HEX[kind]
    while len(source.rest) < size:
        yield from source.more()
    digits = source.rest[:size]
    try:
        char = chr(int(digits, 16))
        char.encode()
    except (ValueError, OverflowError):
        return "\\" + kind
    source.skip(size)
    return char


def _literal(source: Source) -> Reading[str]:
    """Reads the source of a value, up to the comma or parenthesis after it, which stays unread."""
    text: list[str] = []
    depth: list[str] = []
    quote = ""
    while True:
        char = yield from source.peek()
        if not quote and not depth and char in ",)":
            return "".join(text).strip()
        source.skip(1)
        text.append(char)
        if quote:
            if char == "\\":
                text.append((yield from source.peek()))
                source.skip(1)
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in _CLOSING:
            depth.append(_CLOSING[char])
        elif char in ")]}" and (not depth or depth.pop() != char):
            raise Malformed


def pythonic() -> tuple[Pythonic, ...]:
    """All of them."""
    return (
        Pythonic(
            name="lfm2",
            taught=("<|tool_call_start|>", "<|tool_list_start|>", "List of tools: ["),
            openings=("<|tool_call_start|>",),
            closings=("<|tool_call_end|>",),
        ),
        Pythonic(
            name="llama-pythonic",
            taught=("[func_name1(", "[func1(", "<|python_start|>"),
            openings=("<|python_start|>", "<|python_tag|>"),
            closings=("<|python_end|>",),
            bare=True,
        ),
        Pythonic(
            name="gemma-tool-code",
            taught=("```tool_code",),
            openings=("```tool_code\n",),
            closings=("```",),
            listed=False,
        ),
    )
