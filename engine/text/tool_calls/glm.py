"""GLM's syntax: `<tool_call>name`, then `<arg_key>…</arg_key><arg_value>…</arg_value>` for each argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.text.grammar.calls import CallRules
from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.parser import BlockParser
from engine.text.tool_calls.plain_grammar import TAGS, Element, plain_arguments
from engine.text.tool_calls.reading import Malformed, Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.text.tool_calls.values import Arguments, Schemas, value
from engine.types import ToolDefinition

_SUFFIX = ":opensource"


def glm() -> tuple[Glm, Glm]:
    """Hunyuan's form and the general one."""
    return Glm("hunyuan-3", _SUFFIX), Glm("glm-4.5")


class Glm(Syntax):
    """GLM 4.5 and later, and its kin; Hunyuan 3 writes `suffix` into every tag and closes the name with one."""

    def __init__(self, name: str, suffix: str = "") -> None:
        self.name = name
        self._suffix = suffix
        self._open, self._close = f"<tool_call{suffix}>", f"</tool_call{suffix}>"
        self._section, self._section_end = f"<tool_calls{suffix}>", f"</tool_calls{suffix}>"
        self._separator = f"<tool_sep{suffix}>"
        self._key, self._key_end = f"<arg_key{suffix}>", f"</arg_key{suffix}>"
        self._value, self._value_end = f"<arg_value{suffix}>", f"</arg_value{suffix}>"
        tags = (self._open, self._close, self._key, self._key_end, self._value, self._value_end)
        self.markers = (*tags, self._section, self._section_end, self._separator) if suffix else tags

    def spoken_by(self, template: str) -> bool:
        """Whether the template shows the tags of arguments."""
        return "<arg_key" in template and (_SUFFIX in template) == bool(self._suffix)

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> BlockParser:
        """A parser for one answer."""
        schemas = Schemas(tools)

        def block(source: Source, calls: Calls, opening: str) -> Reading[None]:
            return self._block(source, calls, opening, schemas)

        return BlockParser(block, (self._section, self._open) if self._suffix else (self._open,), new_id)

    def opening(self, name: str | None) -> str:
        """The first characters of a call."""
        begin = f"{self._section}\n{self._open}" if self._suffix else self._open
        end = self._separator if self._suffix else ""
        return begin if name is None else f"{begin}{name}{end}\n"

    @property
    def form(self) -> Form:
        """Another call, or the end of the section where there is one."""
        close = f"\n{self._section_end}" if self._suffix else ""
        return Form(end=self._close, following=f"\n{self._open}", close=close)

    def rules(self, tools: Sequence[ToolDefinition], tokens: Mapping[str, int]) -> CallRules:
        """An empty grammar, in whose values no tag is closed."""
        return CallRules(tools, tokens, TAGS)

    def body(self, rules: CallRules, tool: ToolDefinition) -> str:
        """A pair of elements for each argument."""
        between = f"{self._key_end}\n{self._value}"
        return plain_arguments(rules, tool, Element(before=self._key, between={None: between}, behind=self._value_end))

    def _block(self, source: Source, calls: Calls, opening: str, schemas: Schemas) -> Reading[None]:
        if opening != self._open:
            yield from source.space()
            yield from source.expect(self._open)
        while True:
            yield from self._call(source, calls, schemas)
            yield from source.space()
            if not (yield from source.accept(self._open)):
                break
        if self._suffix:
            yield from source.accept(self._section_end)

    def _call(self, source: Source, calls: Calls, schemas: Schemas) -> Reading[None]:
        yield from source.accept("\n")
        name, end = yield from source.named("\n", self._separator, self._key, self._close)
        if any(char.isspace() for char in name):
            raise Malformed
        if end in (self._key, self._close):
            source.skip(-len(end))
        calls.begin(name)
        arguments = Arguments(calls, schemas, name)
        while True:
            yield from source.space()
            if (yield from source.expect(self._key, self._close)) == self._close:
                break
            key = yield from source.name(self._key_end)
            yield from source.space()
            yield from source.expect(self._value)
            yield from value(source, arguments, key, self._value_end)
        arguments.end()
