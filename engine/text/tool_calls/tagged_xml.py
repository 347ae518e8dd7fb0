"""Syntaxes that write a call as elements: one for the call, one for each argument, whose values are plain text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from engine.text.grammar.calls import CallRules
from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_calls import call_objects, closing
from engine.text.tool_calls.parser import BlockParser
from engine.text.tool_calls.plain_grammar import TAGS, Element, plain_arguments
from engine.text.tool_calls.reading import Malformed, Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.text.tool_calls.values import Arguments, Schemas, value
from engine.types import ToolDefinition

_CDATA = "<![CDATA["


class TaggedXml(Syntax, Struct, frozen=True, kw_only=True):
    """`<block><function=name><parameter=key>value</parameter>…</function>…</block>`."""

    name: str
    taught: tuple[str, ...]
    """What a template that teaches it says, all of these."""
    block: str
    block_end: str
    call: str
    """Begins a call, up to its name."""
    head_end: str
    """Ends the head of a call, and that of an argument."""
    call_end: str
    argument: str
    """Begins an argument, up to its name."""
    argument_end: str
    kinds: tuple[tuple[str, bool], ...] = ()
    """Further ends of an argument's head, which say whether its value is text."""
    token: str = ""
    """A token that is part of all its words."""
    lines: bool = False
    """Values stand on lines of their own."""
    together: bool = False
    """A block has all the calls, not just one."""

    @property
    def markers(self) -> tuple[str, ...]:
        """Its words, as far as they are single tokens in some vocabulary."""
        words = (self.block, self.block_end, self.call_end, self.argument_end, self.token)
        return tuple(word for word in words if word)

    def spoken_by(self, template: str) -> bool:
        """Whether the template has its words."""
        return all(word in template for word in self.taught)

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> BlockParser:
        """A parser for one answer. Models forget to begin the block now and then: then the tool must be a known one."""
        schemas = Schemas(tools)

        def block(source: Source, calls: Calls, opening: str) -> Reading[None]:
            return self._block(source, calls, opening, schemas)

        return BlockParser(block, tuple(word for word in (self.block, self.call) if word), new_id)

    def opening(self, name: str | None) -> str:
        """The first characters of a call."""
        begin = f"{self.block}\n{self.call}" if self.block else self.call
        return begin if name is None else f"{begin}{name}{self.head_end}\n"

    @property
    def form(self) -> Form:
        """Another call in the same block, or in one of its own."""
        if not self.block:
            return Form(end=self.call_end, following=f"\n{self.call}")
        between = "\n" if self.together else f"\n{self.block_end}\n{self.block}\n"
        return Form(end=self.call_end, following=between + self.call, close=f"\n{self.block_end}")

    def rules(self, tools: Sequence[ToolDefinition], tokens: Mapping[str, int]) -> CallRules:
        """An empty grammar, in whose values no tag is closed."""
        return CallRules(tools, tokens, TAGS)

    def body(self, rules: CallRules, tool: ToolDefinition) -> str:
        """An element for each argument."""
        kinds: dict[bool | None, str] = {text: end for end, text in self.kinds}
        element = Element(
            before=self.argument,
            between=kinds or {None: self.head_end},
            behind=self.argument_end,
            line="\n" if self.lines else "",
            kept_out=() if self.lines else (_CDATA,),
        )
        return plain_arguments(rules, tool, element)

    def _block(self, source: Source, calls: Calls, opening: str, schemas: Schemas) -> Reading[None]:
        if opening != self.call:
            yield from source.space()
            if (yield from source.at("{")):  # models that have seen much JSON fall back to it
                yield from call_objects(source, calls)
                yield from closing(source, self.block_end)
                return
            yield from source.expect(self.call)
        while True:
            yield from self.read_call(source, calls, schemas, known=opening == self.call)
            yield from source.space()
            if not (yield from source.accept(self.call)):
                break
        if self.block_end:
            yield from closing(source, self.block_end)

    def read_call(self, source: Source, calls: Calls, schemas: Schemas, *, known: bool) -> Reading[None]:
        """Reads a call, behind the word that begins one. Raises `Malformed` when it has to be `known` and is not."""
        name = yield from source.name(self.head_end)
        if known and not schemas.allow(name):
            raise Malformed
        calls.begin(name)
        arguments = Arguments(calls, schemas, name)
        texts = dict(self.kinds)
        while True:
            yield from source.space()
            if (yield from source.expect(self.argument, self.call_end)) == self.call_end:
                break
            key, end = yield from source.named(*texts, self.head_end)
            quoted = yield from source.accept(_CDATA)
            close = f"]]>{self.argument_end}" if quoted else self.argument_end
            yield from value(source, arguments, key, close, text=texts.get(end), lines=self.lines)
        arguments.end()


def tagged_xml() -> tuple[TaggedXml, ...]:
    """All of them."""
    deepseek = _deepseek("deepseek-v3.2", "function_calls"), _deepseek("deepseek-v4", "tool_calls")
    return *_functions(), *_invocations(), *deepseek


def _functions() -> tuple[TaggedXml, ...]:
    """`<function=name><parameter=key>`."""
    qwen = TaggedXml(
        name="qwen3-coder",
        taught=("<function=", "<parameter=", "<tool_call>"),
        block="<tool_call>",
        block_end="</tool_call>",
        call="<function=",
        head_end=">",
        call_end="</function>",
        argument="<parameter=",
        argument_end="</parameter>",
        lines=True,
    )
    seed = replace(
        qwen,
        name="seed-oss",
        lines=False,
        taught=("<function=", "<parameter=", "seed:tool_call"),
        block="<seed:tool_call>",
        block_end="</seed:tool_call>",
    )
    return qwen, seed


def _invocations() -> tuple[TaggedXml, ...]:
    """`<invoke name="name"><parameter name="key">`."""
    minimax = TaggedXml(
        name="minimax-m2",
        taught=("<invoke name=", "<minimax:tool_call>"),
        block="<minimax:tool_call>",
        block_end="</minimax:tool_call>",
        call='<invoke name="',
        head_end='">',
        call_end="</invoke>",
        argument='<parameter name="',
        argument_end="</parameter>",
        together=True,
    )
    minicpm = replace(
        minimax,
        name="minicpm",
        taught=('<function name="', '<param name="'),
        block="",
        block_end="",
        call='<function name="',
        call_end="</function>",
        argument='<param name="',
        argument_end="</param>",
    )
    return minimax, minicpm


def _deepseek(name: str, block: str) -> TaggedXml:
    mark = "｜DSML｜"
    return TaggedXml(
        name=name,
        taught=(mark, block + ">"),
        token=mark,
        block=f"<{mark}{block}>",
        block_end=f"</{mark}{block}>",
        call=f'<{mark}invoke name="',
        head_end='">',
        call_end=f"</{mark}invoke>",
        argument=f'<{mark}parameter name="',
        argument_end=f"</{mark}parameter>",
        together=True,
        kinds=(('" string="true">', True), ('" string="false">', False)),
    )
