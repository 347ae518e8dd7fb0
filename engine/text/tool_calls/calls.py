"""What a grammar has found: text, thoughts and calls, on their way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.text.tool_calls.reading import Source
from engine.types import ToolCallDelta


@dataclass(frozen=True)
class Thought:
    """Reasoning that a syntax sets apart in the middle of an answer."""

    text: str


Piece = str | Thought | ToolCallDelta


class Calls:
    """Collects the pieces of one answer. What was told is never asked back: telling commits the source."""

    def __init__(self, source: Source, new_id: Callable[[], str]) -> None:
        self._source = source
        self._new_id = new_id
        self._ids: set[str] = set()
        self._pieces: list[Piece] = []
        self.count = 0
        """Calls that were told."""
        self.open = False
        """The arguments of the last call are still coming."""

    def begin(self, name: str, identity: str | None = None) -> None:
        """Tells a call. Its id is the model's own, where the model gave one that no other call has."""
        if not identity or identity in self._ids:
            identity = self._new_id()
        self._ids.add(identity)
        self._pieces.append(ToolCallDelta(index=self.count, id=identity, name=name))
        self.count += 1
        self.open = True
        self._source.commit()

    def write(self, arguments: str) -> None:
        """More of the arguments' JSON text."""
        if not arguments:
            return
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, ToolCallDelta) and last.index == self.count - 1:
            self._pieces[-1] = ToolCallDelta(
                index=last.index, id=last.id, name=last.name, arguments=last.arguments + arguments
            )
        else:
            self._pieces.append(ToolCallDelta(index=self.count - 1, arguments=arguments))
        self._source.commit()

    def end(self) -> None:
        """The call is complete."""
        self.open = False
        self._source.commit()

    def say(self, text: str) -> None:
        """Text of the answer."""
        if text:
            self._pieces.append(text)
            self._source.commit()

    def think(self, text: str) -> None:
        """Text of the reasoning."""
        if text:
            self._pieces.append(Thought(text))
            self._source.commit()

    def take(self) -> list[Piece]:
        """All that was found since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces
