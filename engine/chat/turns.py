"""Chat turns: the user's message is stored, then the model answers, calling tools as it likes, whoever watches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field

from engine.bus import Bus
from engine.chat.answer import Answer
from engine.chat.conversations import UNTITLED, Conversations
from engine.chat.history import history, title
from engine.errors import BadInput, Conflict, ErrorInfo, FootplateError, InternalError, Overloaded, WorkerDied
from engine.fleet.fleet import Fleet
from engine.generate import generate
from engine.tools.toolbox import Toolbox
from engine.types import ChatMessage, Conversation, GenerateRequest, Message, ToolCall

log = logging.getLogger(__name__)

MOST_ROUNDS = 6
"""Answers of one turn, all but the last with tool calls; in the last no tools are offered."""
MOST_TURNS = 32
"""Turns under way at once, over all conversations."""

HOST_STOPPED = ErrorInfo(
    code="host_stopped",
    what="The host was stopped while this answer was being written.",
    remedy="Ask again to have a whole answer.",
)


@dataclass(slots=True)
class _Turn:
    """A turn under way."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when `task` runs (a task cancelled earlier would never clean up), or never will."""
    task: asyncio.Task[None] | None = None
    answer: Answer | None = None
    stopped: ErrorInfo | None = None
    """Why it was stopped, when something else than the user stopped it."""


class Turns:
    """All turns under way, at most one of each conversation."""

    def __init__(
        self,
        bus: Bus,
        conversations: Conversations,
        fleet: Fleet,
        tools: Toolbox,
        hold: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._bus = bus
        self._conversations = conversations
        self._fleet = fleet
        self._tools = tools
        self._hold = hold
        self._running: dict[int, _Turn] = {}

    async def start(self, text: str, conversation: int | None, model: str) -> tuple[int, int]:
        """Stores `text`, durably, and has the model of that id answer; the ids of conversation and answer.

        Raises `NotFound`, `BadInput` for an empty text, `Conflict` while a turn of the conversation runs, and
        `Overloaded`.
        """
        self._refuse(text, conversation)
        if conversation is None:
            conversation = (await self._conversations.create()).id
        turn = self._running[conversation] = _Turn()
        try:
            stored = (await self._conversations.read(conversation)).messages
            if not stored and self._conversations.summary(conversation).title == UNTITLED:
                await self._conversations.rename(conversation, title(text))
            said = ChatMessage(id=0, message=Message(role="user", content=text), created=time.time())
            said = await self._conversations.add(conversation, said, stored[-1].id if stored else None)
            turn.answer = await self._begin(conversation, model, said.id)
        except BaseException:
            del self._running[conversation]
            turn.begun.set()
            raise
        messages = (*history(stored), said.message)
        turn.task = asyncio.create_task(self._run(turn, conversation, model, messages), name=f"turn {conversation}")
        return conversation, turn.answer.message.id

    async def stop(self, conversation: int) -> None:
        """Ends the turn of a conversation early; what was written stays. Without a turn nothing happens."""
        await self._stop(conversation, None)

    async def read(self, conversation: int) -> Conversation:
        """The conversation with what has been written of an answer up to now. Raises `NotFound`."""
        for _ in range(10):
            found = await self._conversations.read(conversation)
            turn = self._running.get(conversation)
            live = turn.answer.message if turn and turn.answer else None
            last = found.messages[-1] if found.messages else None
            if last is None or last.state != "writing":
                return found
            if live and live.id == last.id:
                return Conversation(summary=found.summary, messages=(*found.messages[:-1], live))
            # It was finished, or the next answer began, between the two looks: another look sees that.
        return found

    async def delete(self, conversation: int) -> None:
        """Stops the turn of a conversation and deletes the conversation. Raises `NotFound`."""
        await self.stop(conversation)
        await self._conversations.delete(conversation)

    async def shutdown(self) -> None:
        """Stops every turn; the answers are stored as stopped."""
        await asyncio.gather(*(self._stop(conversation, HOST_STOPPED) for conversation in tuple(self._running)))

    def _refuse(self, text: str, conversation: int | None) -> None:
        if conversation is not None:
            self._conversations.summary(conversation)
        if not text.strip():
            raise BadInput("The message is empty.", remedy="Write something first.", param="text")
        if conversation in self._running:
            raise Conflict(
                "An answer is being written in this conversation.", remedy="Wait for it, or stop it with Esc."
            )
        if len(self._running) >= MOST_TURNS:
            raise Overloaded(
                f"{MOST_TURNS} answers are being written or waited for.", remedy="Try again soon.", retry_after_s=5.0
            )

    async def _stop(self, conversation: int, error: ErrorInfo | None) -> None:
        turn = self._running.get(conversation)
        if turn is None:
            return
        await turn.begun.wait()
        if turn.task:
            turn.stopped = error
            if not turn.task.cancelling():
                turn.task.cancel()
            await asyncio.wait([turn.task])

    async def _begin(self, conversation: int, model: str, parent: int) -> Answer:
        empty = ChatMessage(id=0, message=Message(role="assistant"), created=time.time(), state="writing", model=model)
        begun = await self._conversations.add(conversation, empty, parent)
        return Answer(self._bus, self._conversations, conversation, begun)

    async def _run(self, turn: _Turn, conversation: int, model: str, messages: tuple[Message, ...]) -> None:
        turn.begun.set()
        with self._hold():
            self._conversations.mark(conversation, busy=True)
            try:
                await self._rounds(turn, conversation, model, messages)
            except asyncio.CancelledError:
                await _answer(turn).stop(turn.stopped)
            except FootplateError as error:
                await _answer(turn).fail(error.info)
            except Exception:
                log.exception("a turn of conversation %d failed", conversation)
                await _answer(turn).fail(InternalError("Footplate made a mistake; the log says more.").info)
            finally:
                del self._running[conversation]
                self._conversations.mark(conversation, busy=False)

    async def _rounds(self, turn: _Turn, conversation: int, model: str, messages: tuple[Message, ...]) -> None:
        """Answers, runs the tools that were called, and has the model go on, until it calls none."""
        for left in reversed(range(MOST_ROUNDS)):
            answered = await self._answer(_answer(turn), model, messages, offer=left > 0)
            calls = answered.message.tool_calls
            if not calls or left == 0:
                return
            results = [await self._call(conversation, call, answered.id) for call in calls]
            messages = (*messages, answered.message, *(result.message for result in results))
            turn.answer = await self._begin(conversation, model, results[-1].id)

    async def _answer(self, answer: Answer, model: str, messages: tuple[Message, ...], *, offer: bool) -> ChatMessage:
        request = GenerateRequest(messages=messages)
        tools = self._tools.definitions if offer else ()
        async with aclosing(generate(self._fleet, model, request, offer=tools)) as outputs:
            async for output in outputs:
                finish = await answer.take(output)
                if finish:
                    return await answer.end(finish)
        raise WorkerDied("The worker ended its answer without a last word.", remedy="Ask again.")

    async def _call(self, conversation: int, call: ToolCall, parent: int) -> ChatMessage:
        content = await self._tools.call(call)
        message = Message(role="tool", content=content, tool_call_id=call.id, name=call.name)
        return await self._conversations.add(
            conversation, ChatMessage(id=0, message=message, created=time.time()), parent
        )


def _answer(turn: _Turn) -> Answer:
    if turn.answer is None:
        raise InternalError("A turn runs without its answer.")
    return turn.answer
