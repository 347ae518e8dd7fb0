"""An engine without a host: it records what the screen asks and says what a test wants it to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from engine.errors import FootplateError
from engine.events import (
    ActiveModelChanged,
    ApiChanged,
    ConversationChanged,
    ConversationDeleted,
    Event,
    MessageAdded,
    MessageFinished,
    Snapshot,
    TurnDelta,
    WorkerChanged,
)
from engine.types import (
    ApiState,
    ChatMessage,
    Conversation,
    ConversationSummary,
    Finish,
    FinishReason,
    HostStatus,
    LoadedFacts,
    Message,
    ModelEntry,
    Timings,
    Usage,
    WorkerInfo,
    WorkerState,
    WorkerStats,
)

MIB = 1024 * 1024
NOW = 1_760_000_000.0

GUIDE = ModelEntry(
    id="guide", path="/models/guide.gguf", format="gguf", size=6 * MIB, quantization="Q8_0", builtin=True
)
CODER = ModelEntry(
    id="Qwen2.5-Coder-7B", path="/models/coder.gguf", format="gguf", size=4431 * MIB, quantization="Q4_K_M"
)


@dataclass(frozen=True)
class Started:
    """The answer to a turn."""

    conversation: int
    message: int


def worker(state: WorkerState = WorkerState.READY, **changes: object) -> WorkerInfo:
    """Guide's worker."""
    info = WorkerInfo(
        model="guide",
        runtime="llama_cpp",
        state=state,
        facts=LoadedFacts(context=16384, slots=2, device="CPU", memory=96 * MIB),
        stats=WorkerStats(context_used=0, memory=98 * MIB),
    )
    return replace(info, **changes)


def finish(tokens: int = 143, reason: FinishReason = "stop") -> Finish:
    """The end of an answer of so many tokens, at 62.0 tok/s."""
    return Finish(
        reason=reason,
        usage=Usage(prompt_tokens=1204, completion_tokens=tokens),
        timings=Timings(prefill_s=0.2, decode_s=(tokens - 1) / 62.0),
    )


@dataclass
class FakeEngine:
    """Satisfies `tui.engine.Engine`. `calls` records every request; `emit` sends an event to the screen."""

    messages: dict[int, list[ChatMessage]] = field(default_factory=dict)
    status: HostStatus = field(
        default_factory=lambda: HostStatus(
            version="0.1.0", pid=4711, started=NOW, serve=False, home="/home", active_model="guide", workers=(worker(),)
        )
    )
    models: tuple[ModelEntry, ...] = (GUIDE, CODER)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    refuse: dict[str, FootplateError] = field(default_factory=dict)
    """Errors by method."""
    titles: dict[int, str] = field(default_factory=dict)
    _queue: asyncio.Queue[Event | FootplateError] = field(default_factory=asyncio.Queue)
    _next: int = 1000

    def emit(self, *events: Event | FootplateError) -> None:
        """Sends events; an error ends them."""
        for event in events:
            self._queue.put_nowait(event)

    def called(self, name: str) -> list[tuple[object, ...]]:
        """The arguments of every request of that name."""
        return [call[1:] for call in self.calls if call[0] == name]

    def snapshot(self) -> Snapshot:
        """What a screen starts from."""
        return Snapshot(
            status=self.status, models=self.models, conversations=tuple(self.summary(id_) for id_ in self.messages)
        )

    def summary(self, conversation: int) -> ConversationSummary:
        """A line of the list of conversations."""
        messages = self.messages[conversation]
        return ConversationSummary(
            id=conversation,
            title=self.titles.get(conversation, messages[0].message.content[:40] if messages else ""),
            updated=NOW + conversation,
            busy=any(message.state == "writing" for message in messages),
        )

    def add(self, conversation: int, message: ChatMessage) -> None:
        """Stores a message and tells the screen."""
        self.messages.setdefault(conversation, []).append(message)
        self.emit(MessageAdded(conversation=conversation, message=message))

    def write(self, conversation: int, text: str, piece: int = 8, tok_s: float | None = 62.0) -> None:
        """Writes into the answer under way, in deltas of `piece` characters."""
        message = self.messages[conversation][-1]
        for at in range(0, len(text), piece):
            offset = len(message.message.content)
            part = text[at : at + piece]
            message = replace(message, message=replace(message.message, content=message.message.content + part))
            self.emit(TurnDelta(conversation=conversation, message=message.id, offset=offset, text=part, tok_s=tok_s))
        self.messages[conversation][-1] = message

    def finish(self, conversation: int, **changes: object) -> None:
        """Ends the answer under way."""
        changes = {"state": "complete", "finish": finish(), "ttft_s": 0.21, **changes}
        message = replace(self.messages[conversation][-1], **changes)
        self.messages[conversation][-1] = message
        self.emit(
            MessageFinished(conversation=conversation, message=message),
            ConversationChanged(summary=self.summary(conversation)),
        )

    def new_id(self) -> int:
        """An id nobody has."""
        self._next += 1
        return self._next

    def _call(self, name: str, *arguments: object) -> None:
        self.calls.append((name, *arguments))
        if name in self.refuse:
            raise self.refuse[name]

    async def attach(self, start: bool) -> None:
        self._call("attach", start)
        self.emit(self.snapshot())

    async def close(self) -> None:
        self._call("close")

    async def events(self) -> AsyncIterator[Event]:
        while True:
            event = await self._queue.get()
            if isinstance(event, FootplateError):
                raise event
            yield event

    async def select_model(self, model: str, /) -> None:
        self._call("select_model", model)
        self.status = replace(self.status, active_model=model)
        self.emit(ActiveModelChanged(model=model))

    async def load_model(self, model: str, /) -> None:
        self._call("load_model", model)
        self.emit(WorkerChanged(info=worker(model=model)))

    async def unload_model(self, model: str, /) -> None:
        self._call("unload_model", model)
        self.emit(WorkerChanged(info=worker(WorkerState.GONE, model=model)))

    async def conversation(self, conversation: int, /) -> Conversation:
        self._call("conversation", conversation)
        return Conversation(summary=self.summary(conversation), messages=tuple(self.messages[conversation]))

    async def new_conversation(self) -> ConversationSummary:
        self._call("new_conversation")
        id_ = self.new_id()
        self.messages[id_] = []
        self.emit(ConversationChanged(summary=self.summary(id_)))
        return self.summary(id_)

    async def rename_conversation(self, conversation: int, title: str, /) -> None:
        self._call("rename_conversation", conversation, title)
        self.titles[conversation] = title
        self.emit(ConversationChanged(summary=self.summary(conversation)))

    async def delete_conversation(self, conversation: int, /) -> None:
        self._call("delete_conversation", conversation)
        del self.messages[conversation]
        self.emit(ConversationDeleted(conversation=conversation))

    async def send_turn(self, text: str, conversation: int | None = None) -> Started:
        self._call("send_turn", text, conversation)
        assert conversation is not None
        self.add(conversation, said(self.new_id(), text))
        answer = said(self.new_id(), "", role="assistant", state="writing", model="guide")
        self.add(conversation, answer)
        return Started(conversation, answer.id)

    async def stop_turn(self, conversation: int, /) -> None:
        self._call("stop_turn", conversation)
        self.finish(conversation, state="stopped", finish=finish(reason="cancelled"))

    async def set_api(self, enabled: bool, *, api_key: str | None = None) -> ApiState:
        self._call("set_api", enabled, api_key)
        api = ApiState(enabled=enabled, url="http://127.0.0.1:8080/v1" if enabled else None)
        self.emit(ApiChanged(api=api))
        return api

    async def stop_host(self, force: bool = False) -> None:
        self._call("stop_host", force)


def said(id_: int, text: str, **changes: object) -> ChatMessage:
    """A message; `role` and `reasoning` and `tool_calls` go into what was said, everything else around it."""
    inner = {name: changes.pop(name) for name in ("reasoning", "tool_calls", "tool_call_id") if name in changes}
    message = Message(role=changes.pop("role", "user"), content=text)  # type: ignore[arg-type]
    return replace(ChatMessage(id=id_, message=replace(message, **inner), created=NOW), **changes)
