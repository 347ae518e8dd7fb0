"""What a syntax of tool calls offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

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

    def own_id(self, identity: str) -> str:
        """The id of a call as templates of this syntax take it: some refuse ids that other models' calls have."""
        ...


class Syntax:
    """Base of the syntaxes: what most of them have in common."""

    whole = False

    def own_id(self, identity: str) -> str:
        """Any id will do."""
        return identity
