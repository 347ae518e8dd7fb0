"""Syntaxes that name the tool between words of their own, and write its arguments as JSON after it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from engine.text.grammar.calls import CallRules
from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_calls import arguments, closing
from engine.text.tool_calls.parser import BlockParser
from engine.text.tool_calls.reading import Malformed, Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.text.tool_calls.values import Schemas
from engine.types import ToolDefinition

Head = Callable[[Source], Generator[None, None, tuple[str, str | None]]]
"""Reads up to the arguments: the tool's name, and the model's own id of the call."""


class NamedJson(Syntax, Struct, frozen=True, kw_only=True):
    """`<section><call>name<…>{…}<end> … </section>`."""

    name: str
    taught: tuple[str, ...]
    """What a template that teaches it says, all of these."""
    section: str
    """Begins a section of calls."""
    call: str
    """Begins a call, in a section."""
    read_head: Head
    named: str
    """How a call to `{name}` begins, after `call`."""
    ends: tuple[str, ...]
    """Words that end a call."""
    end: str
    """That of them which the model's template writes."""
    section_ends: tuple[str, ...]
    further: tuple[str, ...] = ()
    """Further words that have to be seen."""

    @property
    def markers(self) -> tuple[str, ...]:
        """Its words."""
        return tuple(word.strip() for word in (self.section, self.call, *self.further, *self.ends, *self.section_ends))

    def spoken_by(self, template: str) -> bool:
        """Whether the template has its words."""
        return all(word in template for word in self.taught)

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> BlockParser:
        """A parser for one answer. Models forget to begin the section now and then; then the tool has to be known."""
        schemas = Schemas(tools)

        def block(source: Source, calls: Calls, opening: str) -> Reading[None]:
            return self._block(source, calls, opening, schemas)

        return BlockParser(block, (self.section, self.call), new_id)

    def opening(self, name: str | None) -> str:
        """The first characters of a call."""
        begin = self.section + ("" if self.section == self.call else self.call)
        return begin if name is None else begin + self.named.format(name=name)

    @property
    def form(self) -> Form:
        """The section goes on, or its end follows."""
        return Form(following=f"{self.end}\n{self.call}", close=self.end + "".join(self.section_ends[:1]))

    def head(self, rules: CallRules, name: str) -> str:
        """As in the opening, with any number."""
        before, zero, behind = self.named.format(name=name).partition(":0")
        return f"{rules.word(f'{before}:')} [0-9]{{1,3}} {rules.word(behind)}" if zero else rules.word(before)

    def _block(self, source: Source, calls: Calls, opening: str, schemas: Schemas) -> Reading[None]:
        if opening != self.call:
            yield from source.space()
            yield from source.expect(self.call)
        while True:
            name, identity = yield from self.read_head(source)
            if opening == self.call and not schemas.allow(name):
                raise Malformed
            calls.begin(name, identity)
            yield from source.space()
            yield from arguments(source, calls)
            yield from closing(source, *self.ends)
            yield from source.space()
            if not (yield from source.accept(self.call)):
                break
        yield from closing(source, *self.section_ends)


def named_json() -> tuple[NamedJson, ...]:
    """All of them."""
    return (
        *_deepseek(),
        NamedJson(
            name="kimi-k2",
            taught=("<|tool_calls_section_begin|>",),
            section="<|tool_calls_section_begin|>",
            call="<|tool_call_begin|>",
            read_head=_kimi_head,
            named="functions.{name}:0<|tool_call_argument_begin|>",
            ends=("<|tool_call_end|>",),
            end="<|tool_call_end|>",
            section_ends=("<|tool_calls_section_end|>",),
            further=("<|tool_call_argument_begin|>",),
        ),
        NamedJson(
            name="functionary-v3.1",
            taught=("<function=", "</function>", "<|python_tag|>"),
            section="<function=",
            call="<function=",
            read_head=_function_head,
            named="{name}>",
            ends=("</function>",),
            end="</function>",
            section_ends=(),
        ),
    )


def _deepseek() -> tuple[NamedJson, NamedJson]:
    """The form of V3 and R1, and that of V3.1."""
    begin, end = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
    newer = NamedJson(
        name="deepseek-v3.1",
        taught=(begin,),
        section=begin,
        call="<｜tool▁call▁begin｜>",
        read_head=_deepseek_head,
        named="{name}<｜tool▁sep｜>",
        ends=("```<｜tool▁call▁end｜>", "```\n<｜tool▁call▁end｜>", "<｜tool▁call▁end｜>", "```"),
        end="<｜tool▁call▁end｜>",
        section_ends=(end,),
        further=("<｜tool▁sep｜>", "<｜tool▁call▁end｜>"),
    )
    return (
        replace(
            newer,
            name="deepseek-v3",
            taught=(begin, "```json"),
            end="\n```<｜tool▁call▁end｜>",
            named="function<｜tool▁sep｜>{name}\n```json\n",
        ),
        newer,
    )


def _deepseek_head(source: Source) -> Generator[None, None, tuple[str, str | None]]:
    first = yield from source.name("<｜tool▁sep｜>")
    yield from source.space()
    if first == "function" and (yield from source.peek()) != "{":
        first = yield from source.name("\n")
    yield from source.accept("```json", "```")
    return first, None


def _kimi_head(source: Source) -> Generator[None, None, tuple[str, str | None]]:
    """`functions.name:0`: an id with the name in it."""
    identity = yield from source.name("<|tool_call_argument_begin|>")
    name, _, number = identity.removeprefix("functions.").rpartition(":")
    if not name or not number.isdigit():
        return identity.removeprefix("functions."), None
    return name, identity


def _function_head(source: Source) -> Generator[None, None, tuple[str, str | None]]:
    name = yield from source.name(">")
    yield from source.space()
    if (yield from source.peek()) != "{":
        raise Malformed
    return name, None
