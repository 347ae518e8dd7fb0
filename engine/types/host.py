"""Conversations, and the state of the host."""

from __future__ import annotations

from typing import Literal

from engine.errors import ErrorInfo
from engine.types.generation import Finish, Message
from engine.types.machine import WorkerInfo
from engine.types.noun import Noun


class ApiState(Noun, frozen=True, kw_only=True, omit_defaults=False):
    """The TCP listener."""

    enabled: bool = False
    url: str | None = None
    key_required: bool = False
    error: ErrorInfo | None = None


class ChatMessage(Noun, frozen=True, kw_only=True):
    """A stored message of a conversation."""

    id: int
    message: Message
    created: float
    """Unix time."""
    state: Literal["complete", "writing", "stopped", "failed"] = "complete"
    model: str | None = None
    finish: Finish | None = None
    ttft_s: float | None = None
    """Time from sending the turn to the first token, as the host saw it."""
    error: ErrorInfo | None = None


class ConversationSummary(Noun, frozen=True, kw_only=True):
    """A line of the list of conversations."""

    id: int
    title: str
    updated: float
    model: str | None = None
    busy: bool = False


class Conversation(Noun, frozen=True, kw_only=True):
    """A conversation with all its messages, oldest first."""

    summary: ConversationSummary
    messages: tuple[ChatMessage, ...] = ()


class HostStatus(Noun, frozen=True, kw_only=True, omit_defaults=False):
    """What `footplate status` prints and a screen starts from."""

    version: str
    pid: int
    started: float
    serve: bool
    """Started by `--serve`: it stays until it is stopped."""
    home: str
    active_model: str
    workers: tuple[WorkerInfo, ...] = ()
    api: ApiState = ApiState()
    screens: int = 0
    """Attached screens."""
    turns: int = 0
    """Chat turns under way."""
    requests: int = 0
    """API requests under way."""
    jobs: int = 0
    """Jobs that run, such as downloads."""
