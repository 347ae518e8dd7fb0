"""What the screen knows of the host: one immutable value, changed by events alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from engine.errors import ErrorInfo
from engine.events import (
    ActiveModelChanged,
    ApiChanged,
    ConversationChanged,
    ConversationDeleted,
    Event,
    HostStopping,
    ModelsChanged,
    Snapshot,
    StatusChanged,
    WorkerChanged,
)
from engine.types import ApiState, ConversationSummary, ModelEntry, WorkerInfo, WorkerState

Connection = Literal["connecting", "attached", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """The host as seen from here; `None` and empty mean: not known (yet)."""

    connection: Connection = "connecting"
    lost: ErrorInfo | None = None
    """Why the connection is lost."""
    serve: bool = False
    """The host runs in the foreground of another terminal, and stays there."""
    active_model: str | None = None
    models: tuple[ModelEntry, ...] = ()
    workers: tuple[WorkerInfo, ...] = ()
    conversations: tuple[ConversationSummary, ...] = ()
    """Newest first."""
    api: ApiState | None = None
    turns: int = 0
    requests: int = 0
    jobs: int = 0

    @property
    def worker(self) -> WorkerInfo | None:
        """The worker that holds the active model."""
        return next((worker for worker in self.workers if worker.model == self.active_model), None)

    @property
    def busy(self) -> bool:
        """Whether something runs that quitting might end."""
        writing = any(summary.busy for summary in self.conversations)
        return bool(writing or self.turns or self.requests or self.jobs or (self.api and self.api.enabled))


def _newest_first(summaries: list[ConversationSummary]) -> tuple[ConversationSummary, ...]:
    return tuple(sorted(summaries, key=lambda summary: (-summary.updated, -summary.id)))


def apply(view: HostView, event: Event) -> HostView:  # noqa: PLR0911 - one case for each event
    """`view` after `event`; events about single messages leave it as it is."""
    match event:
        case Snapshot(status=status):
            return HostView(
                connection="attached",
                serve=status.serve,
                active_model=status.active_model,
                models=event.models,
                workers=status.workers,
                conversations=_newest_first(list(event.conversations)),
                api=status.api,
                turns=status.turns,
                requests=status.requests,
                jobs=status.jobs,
            )
        case StatusChanged(status=status):
            return replace(view, turns=status.turns, requests=status.requests, jobs=status.jobs)
        case WorkerChanged(info=info):
            others = tuple(worker for worker in view.workers if worker.model != info.model)
            return replace(view, workers=others if info.state is WorkerState.GONE else (*others, info))
        case ActiveModelChanged(model=model):
            return replace(view, active_model=model)
        case ModelsChanged(models=models):
            return replace(view, models=models)
        case ApiChanged(api=api):
            return replace(view, api=api)
        case ConversationChanged(summary=summary):
            others_ = [known for known in view.conversations if known.id != summary.id]
            return replace(view, conversations=_newest_first([*others_, summary]))
        case ConversationDeleted(conversation=gone):
            return replace(view, conversations=tuple(known for known in view.conversations if known.id != gone))
        case HostStopping(reason=reason):
            return lose(view, ErrorInfo(code="host_unreachable", what=f"The host has stopped: {reason}"))
    return view


def lose(view: HostView, error: ErrorInfo) -> HostView:
    """`view` once the host is gone for the reason in `error`: what lived in it is not known any more."""
    return HostView(connection="lost", lost=error, models=view.models, conversations=view.conversations)


def running(view: HostView) -> str:
    """What runs, as a sentence for somebody about to quit."""
    parts = []
    if view.turns or any(summary.busy for summary in view.conversations):
        parts.append("An answer is being written.")
    if view.api is not None and view.api.enabled:
        parts.append(f"The API is on at {view.api.url}.")
    if view.requests:
        parts.append(f"API requests under way: {view.requests}.")
    if view.jobs:
        parts.append(f"Downloads under way: {view.jobs}.")
    return " ".join(parts)
