"""Every event the host tells its screens.

Events carry no sequence number themselves; the bus wraps them in `Envelope`. A subscriber gets a `Snapshot` first, then
deltas. `Telemetry` and progress may be dropped and are coalesced (the newest wins); the deltas of one message coalesce
by concatenation; everything else is a state change and is never dropped: a subscriber that cannot keep up is cut off
and begins again with a snapshot.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from engine.errors import ErrorInfo
from engine.types import (
    ApiState,
    ChatMessage,
    ConversationSummary,
    HostStatus,
    JobInfo,
    ModelEntry,
    ToolCallDelta,
    WorkerInfo,
)


class _Event(Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Base of all events; the struct's name is the tag."""


class Snapshot(_Event, frozen=True, kw_only=True):
    """All state a screen starts from; the messages of a conversation are fetched when it is opened."""

    status: HostStatus
    models: tuple[ModelEntry, ...] = ()
    conversations: tuple[ConversationSummary, ...] = ()
    jobs: tuple[JobInfo, ...] = ()


class WorkerChanged(_Event, frozen=True, kw_only=True):
    """A worker came, went, or changed its state. `info.state` `gone` means: no longer there."""

    info: WorkerInfo


class ActiveModelChanged(_Event, frozen=True, kw_only=True):
    """Another model answers by default."""

    model: str


class ModelsChanged(_Event, frozen=True, kw_only=True):
    """The catalog changed."""

    models: tuple[ModelEntry, ...]


class ConversationChanged(_Event, frozen=True, kw_only=True):
    """A conversation came or changed (title, time, busy)."""

    summary: ConversationSummary


class ConversationDeleted(_Event, frozen=True, kw_only=True):
    """A conversation is no more."""

    conversation: int


class MessageAdded(_Event, frozen=True, kw_only=True):
    """A message was stored: a user's, a tool's, or the empty beginning of an answer (state `writing`)."""

    conversation: int
    message: ChatMessage


class TurnDelta(_Event, frozen=True, kw_only=True):
    """New text of a message being written; `offset` and `reasoning_offset` say where it goes (in characters)."""

    conversation: int
    message: int
    offset: int
    text: str = ""
    reasoning_offset: int = 0
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    tok_s: float | None = None
    """Decode rate so far."""


class TurnPrefill(_Event, frozen=True, kw_only=True):
    """How much of the prompt has been computed. Droppable."""

    conversation: int
    message: int
    done: int
    total: int


class MessageFinished(_Event, frozen=True, kw_only=True):
    """A message has its final state: complete, stopped or failed."""

    conversation: int
    message: ChatMessage


class JobChanged(_Event, frozen=True, kw_only=True):
    """A job came, or changed its state."""

    job: JobInfo


class JobProgress(_Event, frozen=True, kw_only=True):
    """How far a running job is. Droppable."""

    job: JobInfo


class JobRemoved(_Event, frozen=True, kw_only=True):
    """A job was taken out of the list."""

    job: int


class ApiChanged(_Event, frozen=True, kw_only=True):
    """The TCP listener was opened or closed."""

    api: ApiState


class StatusChanged(_Event, frozen=True, kw_only=True):
    """Counts changed: screens, turns, requests, jobs. Droppable."""

    status: HostStatus


class Notice(_Event, frozen=True, kw_only=True):
    """Something the user should know; does not steal focus."""

    level: Literal["information", "warning", "error"] = "information"
    text: str = ""
    error: ErrorInfo | None = None


class HostStopping(_Event, frozen=True, kw_only=True):
    """The host ends now; the screen says so and does not start another."""

    reason: str


Event = (
    Snapshot
    | WorkerChanged
    | ActiveModelChanged
    | ModelsChanged
    | ConversationChanged
    | ConversationDeleted
    | MessageAdded
    | TurnDelta
    | TurnPrefill
    | MessageFinished
    | JobChanged
    | JobProgress
    | JobRemoved
    | ApiChanged
    | StatusChanged
    | Notice
    | HostStopping
)


class Envelope(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event on the wire."""

    epoch: str
    """Identity of this run of the host; another one means: everything may be different."""
    seq: int = field(default=0)
    """Grows by one per event of this epoch sent to this subscriber."""
    event: Event
