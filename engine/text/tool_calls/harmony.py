"""Harmony, the format of gpt-oss: an answer is a row of messages, each in a channel.

`<|channel|>analysis<|message|>` is reasoning, `final` is the answer, and a message `to=functions.name` is a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from engine.text.grammar.calls import CallRules
from engine.text.grammar.dialects import json_without
from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.parser import WholeParser
from engine.text.tool_calls.reading import Cut, Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.types import ToolDefinition

CHANNEL, MESSAGE, START, CONSTRAIN = "<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"
ENDS = ("<|end|>", "<|call|>", "<|return|>")
_TOOLS, _TO = "functions.", " to="
_HEADER = 400


class Harmony(Syntax):
    """Other tools than functions are told by the name that the model calls them by."""

    name = "harmony"
    whole = True
    markers = (CHANNEL, MESSAGE, START, CONSTRAIN, *ENDS)
    answer = f"{CHANNEL}final{MESSAGE}"
    form = Form()

    def spoken_by(self, template: str) -> bool:
        """Whether the template writes channels."""
        return CHANNEL in template and MESSAGE in template

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> WholeParser:
        """A parser for one answer."""
        return WholeParser(_answer, new_id)

    def opening(self, name: str | None) -> str:
        """The first characters of a call."""
        begin = f"{CHANNEL}commentary{_TO}{_TOOLS}"
        return begin if name is None else f"{begin}{name} {CONSTRAIN}json{MESSAGE}"

    def rules(self, tools: Sequence[ToolDefinition], tokens: Mapping[str, int]) -> CallRules:
        """An empty grammar; no word of the format stands in its values."""
        return CallRules(tools, tokens, json_without("<|"))


def _answer(source: Source, calls: Calls) -> Reading[None]:
    """The prompt ends behind `<|start|>assistant`. What begins with none of the format's words is plain text."""
    while True:
        source.commit()
        yield from source.space()
        if source.over and not source.rest:
            return
        word = yield from source.accept(START, CHANNEL, "to=", *ENDS)
        if word in ENDS:
            continue
        if not word:
            yield from _body(source, calls.say)
            continue
        header, _ = yield from source.until(MESSAGE, limit=_HEADER)
        recipient = _recipient(word + header)
        if recipient:
            yield from _call(source, calls, recipient)
        else:
            channel = (word + header).partition(CHANNEL)[2].strip()
            yield from _body(source, calls.think if channel.startswith("analysis") else calls.say)


def _recipient(header: str) -> str:
    """The tool that a message is for; empty for a message to the user."""
    _, found, rest = f" {header}".partition(_TO)
    recipient = rest.split("<|", 1)[0].strip() if found else ""
    return recipient.partition(" ")[0].removeprefix(_TOOLS)


def _body(source: Source, write: Callable[[str], None]) -> Reading[None]:
    """Passes a message on, up to the beginning of the next."""
    end = yield from source.flow(write, *ENDS, START, CHANNEL)
    if end not in ENDS:
        source.skip(-len(end))


def _call(source: Source, calls: Calls, name: str) -> Reading[None]:
    calls.begin(name)
    yield from source.space()
    written: list[bool] = []

    def write(text: str) -> None:
        written.append(True)
        calls.write(text)

    with suppress(Cut):  # the token behind a call ends the turn, and with it the text
        yield from _body(source, write)
    if not written:
        calls.write("{}")
    calls.end()
