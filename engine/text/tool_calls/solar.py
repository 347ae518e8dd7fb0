"""Solar Open's format: messages of reasoning, content or calls, each behind a token of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.text.grammar.calls import CallRules
from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_calls import arguments
from engine.text.tool_calls.parser import WholeParser
from engine.text.tool_calls.reading import Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.types import ToolDefinition

BEGIN, THINK, CONTENT, CALLS = "<|begin|>", "<|think|>", "<|content|>", "<|tool_calls|>"
CALL, NAME, ARGUMENTS, CALL_END = "<|tool_call:begin|>", "<|tool_call:name|>", "<|tool_call:args|>", "<|tool_call:end|>"
ENDS = ("<|end|>", "<|calls|>", "<|flush|>")
_HEADER = 64


class Solar(Syntax):
    """`<|think|>…<|end|>`, `<|content|>…<|end|>`, `<|tool_calls|><|tool_call:begin|>id…<|calls|>`."""

    name = "solar-open"
    whole = True
    answer = CONTENT
    form = Form(following=f"{CALL_END}\n{CALL}", close=CALL_END)
    markers = (BEGIN, THINK, CONTENT, CALLS, CALL, NAME, ARGUMENTS, CALL_END, *ENDS)

    def spoken_by(self, template: str) -> bool:
        """Whether the template writes calls so."""
        return CALL in template

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> WholeParser:
        """A parser for one answer."""
        return WholeParser(_answer, new_id)

    def opening(self, name: str | None) -> str:
        """The first characters of a call. The model would make up the id, so the name can't be told before."""
        return CALLS + CALL if name is None else f"{CALLS}{CALL}call0{NAME}{name}{ARGUMENTS}"

    def head(self, rules: CallRules, name: str) -> str:
        """An id of the model's own, and the name."""
        return f"[a-zA-Z0-9_-]{{1,24}} {rules.word(f'{NAME}{name}{ARGUMENTS}')}"


def _answer(source: Source, calls: Calls) -> Reading[None]:
    """The prompt ends behind `<|begin|>assistant`. What stands outside of messages is text."""
    while True:
        source.commit()
        yield from source.space()
        if source.over and not source.rest:
            return
        word = yield from source.accept(BEGIN, THINK, CONTENT, CALL, CALLS, *ENDS, CALL_END)
        if word == BEGIN:
            _, kind = yield from source.until(THINK, CONTENT, CALLS, limit=_HEADER)
            source.skip(-len(kind))
        elif word == CALL:
            yield from _call(source, calls)
        elif word in ("", THINK, CONTENT):
            end = yield from source.flow(calls.think if word == THINK else calls.say, *ENDS, BEGIN, CALLS)
            source.skip(-len(end))


def _call(source: Source, calls: Calls) -> Reading[None]:
    identity = yield from source.name(NAME)
    name = yield from source.name(ARGUMENTS)
    calls.begin(name, identity)
    yield from source.space()
    yield from arguments(source, calls)
