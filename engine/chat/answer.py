"""An answer while it is being written: what has come, told to the screens at once and stored every second."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from msgspec.structs import replace

from engine.bus import Bus
from engine.chat.conversations import Conversations
from engine.errors import ErrorInfo
from engine.events import TurnDelta, TurnPrefill
from engine.types import ChatMessage, Delta, Finish, Message, Output, Prefill, ToolCall, ToolCallDelta

STORE_EVERY_S = 1.0


@dataclass(slots=True)
class _Call:
    """A tool call in pieces."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def add(self, piece: ToolCallDelta) -> None:
        self.id = piece.id or self.id
        self.name = piece.name or self.name
        self.arguments.append(piece.arguments)


class Answer:
    """One message of the model, from its first token to its final state."""

    def __init__(self, bus: Bus, conversations: Conversations, conversation: int, begun: ChatMessage) -> None:
        self._bus = bus
        self._conversations = conversations
        self._conversation = conversation
        self._begun = begun
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._offset = 0
        self._reasoning_offset = 0
        self._calls: dict[int, _Call] = {}
        self._tokens = 0
        self._since = time.monotonic()
        self._first: float | None = None
        self._stored = self._since

    @property
    def message(self) -> ChatMessage:
        """What there is so far."""
        calls = (self._calls[index] for index in sorted(self._calls))
        return replace(
            self._begun,
            message=Message(
                role="assistant",
                content="".join(self._text),
                reasoning="".join(self._reasoning),
                tool_calls=tuple(
                    ToolCall(id=call.id, name=call.name, arguments="".join(call.arguments)) for call in calls
                ),
            ),
            ttft_s=None if self._first is None else self._first - self._since,
        )

    async def take(self, output: Output) -> Finish | None:
        """Adds what was generated; the finish when this was it."""
        match output:
            case Prefill():
                self._bus.publish(
                    TurnPrefill(
                        conversation=self._conversation, message=self._begun.id, done=output.done, total=output.total
                    )
                )
            case Delta():
                self._add(output)
                if time.monotonic() - self._stored >= STORE_EVERY_S:
                    self._stored = time.monotonic()
                    await self._conversations.save(self.message)
            case Finish():
                return output
        return None

    async def end(self, finish: Finish) -> ChatMessage:
        """The answer is whole."""
        return await self._close(replace(self.message, state="complete", finish=finish))

    async def stop(self, error: ErrorInfo | None = None) -> ChatMessage:
        """The answer was ended early, by the user or, where `error` says so, by something else."""
        return await self._close(replace(self.message, state="stopped", error=error))

    async def fail(self, error: ErrorInfo) -> ChatMessage:
        """The answer could not be finished."""
        return await self._close(replace(self.message, state="failed", error=error))

    async def _close(self, message: ChatMessage) -> ChatMessage:
        await self._conversations.finish(self._conversation, message)
        return message

    def _add(self, delta: Delta) -> None:
        now = time.monotonic()
        self._first = self._first or now
        self._tokens += delta.tokens
        for piece in delta.tool_calls:
            self._calls.setdefault(piece.index, _Call()).add(piece)
        elapsed = now - self._first
        self._bus.publish(
            TurnDelta(
                conversation=self._conversation,
                message=self._begun.id,
                offset=self._offset,
                text=delta.text,
                reasoning_offset=self._reasoning_offset,
                reasoning=delta.reasoning,
                tool_calls=delta.tool_calls,
                tok_s=(self._tokens - 1) / elapsed if elapsed > 0 and self._tokens > 1 else None,
            )
        )
        self._text.append(delta.text)
        self._reasoning.append(delta.reasoning)
        self._offset += len(delta.text)
        self._reasoning_offset += len(delta.reasoning)
