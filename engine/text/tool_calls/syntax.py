"""What a syntax of tool calls offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from engine.text.grammar.calls import CallRules
from engine.text.tool_calls.calls import Piece
from engine.types import ToolDefinition


class ToolCallParser(Protocol):
    """Reads one answer as it comes. The result does not depend on how the text was cut."""

    def feed(self, text: str) -> Sequence[Piece]:
        """Text and pieces of calls, in their order, that are certain now."""
        ...

    def close(self) -> Sequence[Piece]:
        """The rest, at the end of the answer. What turned out to be no call is text: nothing is lost."""
        ...


class Form(Struct, frozen=True, kw_only=True):
    """What stands around the calls of an answer that must have some; a line break is any white space."""

    end: str = ""
    """Behind the arguments of each call."""
    following: str | None = None
    """From there to the name of another call; `None` where one answer makes one call."""
    last: str = ""
    """Behind the last call."""
    close: str = ""
    """Behind that, where the model likes: it may end its answer instead."""


class ToolCallSyntax(Protocol):
    """How a family of models writes tool calls."""

    @property
    def name(self) -> str:
        """Its name, for notices."""
        ...

    @property
    def markers(self) -> tuple[str, ...]:
        """Words of the syntax that are control tokens in some vocabularies: the parser has to see them all the same."""
        ...

    @property
    def whole(self) -> bool:
        """It lays out the whole answer, reasoning included: its parser reads answers without tools, too."""
        ...

    def spoken_by(self, template: str) -> bool:
        """Whether a chat template (Jinja source) teaches this syntax."""
        ...

    def parser(self, new_id: Callable[[], str], tools: Sequence[ToolDefinition] = ()) -> ToolCallParser:
        """A parser for one answer; `new_id` makes the ids of its calls, `tools` say how untyped values are meant."""
        ...

    def opening(self, name: str | None) -> str:
        """How a call begins, for answers that must be one: of the tool `name`, or of any."""
        ...

    @property
    def answer(self) -> str:
        """What an answer that calls nothing begins with, behind the prompt."""
        ...

    @property
    def form(self) -> Form:
        """What stands around calls."""
        ...

    def rules(self, tools: Sequence[ToolDefinition], tokens: Mapping[str, int]) -> CallRules:
        """An empty grammar of calls; `tokens` are the markers that are control tokens, with their ids."""
        ...

    def head(self, rules: CallRules, name: str) -> str:
        """GBNF of what leads to the arguments of the tool `name`, behind `opening(None)`."""
        ...

    def body(self, rules: CallRules, tool: ToolDefinition) -> str:
        """GBNF of a tool's arguments. Raises `BadInput` when they cannot be held to their schema and have to be."""
        ...

    def own_id(self, identity: str) -> str:
        """The id of a call as templates of this syntax take it: some refuse ids that other models' calls have."""
        ...


class Syntax:
    """Base of the syntaxes: what most of them have in common."""

    whole = False
    answer = ""

    def rules(self, tools: Sequence[ToolDefinition], tokens: Mapping[str, int]) -> CallRules:
        """An empty grammar, whose values are JSON."""
        return CallRules(tools, tokens)

    def head(self: ToolCallSyntax, rules: CallRules, name: str) -> str:
        """As in the opening of a call of `name`."""
        return rules.word(self.opening(name).removeprefix(self.opening(None)))

    def body(self, rules: CallRules, tool: ToolDefinition) -> str:
        """One object."""
        return rules.arguments(tool)

    def own_id(self, identity: str) -> str:
        """Any id will do."""
        return identity
