"""Syntaxes that put JSON objects, or a list of them, after a word of their own: most families, before they differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from msgspec import Struct

from engine.text.tool_calls.calls import Calls
from engine.text.tool_calls.json_calls import call_objects, closing
from engine.text.tool_calls.json_object import Keys
from engine.text.tool_calls.parser import BlockParser
from engine.text.tool_calls.reading import Reading, Source
from engine.text.tool_calls.syntax import Form, Syntax
from engine.types import ToolDefinition

COHERE = Keys(name=("tool_name",), arguments=("parameters",))
"""Command's ids count from 0 in every answer; they are not kept, since ids must differ in a conversation."""


class TaggedJson(Syntax, Struct, frozen=True, kw_only=True):
    """`<open>[{"name": …, "arguments": {…}}, …]<close>`."""

    name: str
    openings: tuple[str, ...]
    """Words that begin a block; the first is the one for calls that have to be made."""
    closings: tuple[str, ...]
    taught: tuple[str, ...]
    """What a template that teaches it says: one of these."""
    keys: Keys = Keys()
    listed: bool = True
    tokens: tuple[str, ...] = ()
    """The tokens that its words are made of, where they are more than one."""
    several: bool = True
    """An answer may have more than one call."""

    @property
    def markers(self) -> tuple[str, ...]:
        """Its words."""
        return (*self.openings, *self.closings, *self.tokens)

    def spoken_by(self, template: str) -> bool:
        """Whether the template has one of its words."""
        return any(word in template for word in self.taught)

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> BlockParser:
        """A parser for one answer."""
        return BlockParser(self._block, self.openings, new_id)

    def opening(self, name: str | None) -> str:
        """The first characters of a call."""
        key, value = self.keys.name[0], self.keys.arguments[0]
        begin = f'{self.openings[0]}{"[" if self.listed else ""}{{"{key}": '
        return f'{begin}"' if name is None else f'{begin}{json.dumps(name, ensure_ascii=False)}, "{value}": '

    @property
    def form(self) -> Form:
        """The list goes on, or objects follow each other."""
        following = f'{"," if self.listed else ""}\n{{"{self.keys.name[0]}": "' if self.several else None
        close = f"\n{self.closings[0]}" if self.closings else ""
        return Form(end="\n}", following=following, last="\n]" if self.listed else "", close=close)

    def _block(self, source: Source, calls: Calls, _opening: str) -> Reading[None]:
        yield from call_objects(source, calls, self.keys)
        yield from closing(source, *self.closings)


def tagged_json() -> tuple[TaggedJson, ...]:
    """All of them."""
    return (
        *_cohere(),
        TaggedJson(
            name="granite",
            openings=("<|tool_call|>", "<tool_call>"),
            closings=("</tool_call>",),
            taught=("<|tool_call|>",),
        ),
        TaggedJson(
            name="tool-calls-list",
            openings=("<tool_calls>",),
            closings=("</tool_calls>",),
            taught=("<tool_calls>[",),
        ),
        TaggedJson(
            name="minimax-m1",
            openings=("<tool_calls>",),
            closings=("</tool_calls>",),
            taught=("<tool_calls>",),
            listed=False,
        ),
        TaggedJson(name="nemotron", openings=("<TOOLCALL>",), closings=("</TOOLCALL>",), taught=("<TOOLCALL>",)),
        TaggedJson(name="firefunction", openings=("functools",), closings=(), taught=("functools[",)),
        TaggedJson(
            name="gigachat",
            openings=("<|function_call|>", "<|message_sep|>\n\nfunction call<|role_sep|>\n"),
            closings=("<|message_sep|>",),
            taught=("<|function_call|>", "'role': 'function call'"),
            tokens=("<|role_sep|>",),
            listed=False,
            several=False,
        ),
    )


def _cohere() -> tuple[TaggedJson, TaggedJson]:
    """Command R7B's form, and that of the older Command R."""
    return (
        TaggedJson(
            name="command-r7b",
            openings=("<|START_ACTION|>",),
            closings=("<|END_ACTION|>",),
            taught=("<|START_ACTION|>",),
            keys=COHERE,
        ),
        TaggedJson(
            name="command-r",
            openings=("Action:\n```json\n", "Action: ```json\n"),
            closings=("```",),
            taught=("\\nAction:\\n```json", "Action: ```json"),
            keys=COHERE,
        ),
    )
