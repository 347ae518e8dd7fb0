"""Muse's format: an answer is a row of messages, `to=self` for reasoning, `to=user`, or to a tool with a call in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.text.grammar.calls import CallRules
from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.parser import WholeParser
from engine.text.tool_calls.reading import Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.text.tool_calls.tagged_xml import TaggedXml
from engine.text.tool_calls.values import Schemas
from engine.types import ToolDefinition

START, MESSAGE = "<|start|>", "<|message|>"
ENDS = ("<|eom|>", "<|eot|>")
_TO = "to="
_HEADER = 300


class Muse(Syntax):
    """`<|start|>assistant to=name<|message|><atem:function_calls><atem:invoke name="name">…`."""

    name = "muse"
    whole = True
    markers = (START, MESSAGE, *ENDS)
    answer = f" {_TO}user{MESSAGE}"

    def spoken_by(self, template: str) -> bool:
        """Whether the template writes calls so."""
        return "<atem:invoke" in template

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> WholeParser:
        """A parser for one answer."""
        schemas = Schemas(tools)

        def answer(source: Source, calls: Calls) -> Reading[None]:
            return _answer(source, calls, schemas)

        return WholeParser(answer, new_id)

    def opening(self, name: str | None) -> str:
        """The first characters of a call. Without a name the model goes on with one."""
        if name is None:
            return f" {_TO}"
        call = _call()
        return f" {_TO}{name}{MESSAGE}{call.block}\n{call.call}{name}{call.head_end}\n"

    @property
    def form(self) -> Form:
        """A message for each call."""
        call = _call()
        return Form(end=f"{call.call_end}\n{call.block_end}", following=f"{ENDS[0]}{START}assistant {_TO}")

    def rules(self, tools: Sequence[ToolDefinition], tokens: Mapping[str, int]) -> CallRules:
        """As those of elements."""
        return _call().rules(tools, tokens)

    def body(self, rules: CallRules, tool: ToolDefinition) -> str:
        """As in elements."""
        return _call().body(rules, tool)


def _call() -> TaggedXml:
    return TaggedXml(
        name="muse",
        taught=(),
        block="<atem:function_calls>",
        block_end="</atem:function_calls>",
        call='<atem:invoke name="',
        head_end='">',
        call_end="</atem:invoke>",
        argument='<atem:parameter name="',
        argument_end="</atem:parameter>",
    )


def _answer(source: Source, calls: Calls, schemas: Schemas) -> Reading[None]:
    """The prompt ends behind `<|start|>assistant`. What begins without a recipient is plain text."""
    call = _call()
    while True:
        source.commit()
        yield from source.space()
        if source.over and not source.rest:
            return
        word = yield from source.accept(START, MESSAGE, _TO, call.block, call.call, call.block_end, *ENDS)
        write = calls.say
        if word in (START, _TO):
            header, _ = yield from source.until(MESSAGE, limit=_HEADER)
            recipient = (word + header).rpartition(_TO)[2].strip()
            if recipient not in ("self", "user", ""):
                continue
            write = calls.think if recipient == "self" else calls.say
        elif word == call.call:
            yield from call.read_call(source, calls, schemas, known=False)
            continue
        elif word and word != MESSAGE:
            continue
        end = yield from source.flow(write, START, call.block, *ENDS)
        if end not in ENDS:
            source.skip(-len(end))
