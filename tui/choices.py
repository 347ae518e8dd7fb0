"""What the lists of models and conversations say: pure functions of the host's state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from engine.types import WorkerState
from tui import text
from tui.commands import COMMANDS, Where, key_name, keys_of
from tui.screens.picker import Choice
from tui.state import HostView

QUIT_ANSWERS = (
    ("detach", "Leave it running; `footplate` comes back to it"),
    ("stop", "Stop it and quit"),
    ("cancel", "Cancel"),
)
"""What can become of work that runs when one quits."""


def model_choices(view: HostView) -> list[Choice]:
    """Models; what can be used comes first."""
    workers = {worker.model: worker for worker in view.workers}
    found = []
    for model in view.models:
        worker = workers.get(model.id)
        state = "" if worker is None else worker.state.value
        if worker is not None and worker.state is WorkerState.LOADING and worker.progress is not None:
            state = f"loading {worker.progress:.0%}"
        kind = "" if model.kind == "chat" else model.kind
        parts = [state, kind, model.quantization or "", text.size(model.size), "built in" if model.builtin else ""]
        found.append(
            Choice(
                id=model.id,
                name=model.id,
                detail=" · ".join(part for part in parts if part),
                chosen=model.id == view.active_model,
                problem=text.clean(model.error.sentence()) if model.error else "",
            )
        )
    return sorted(found, key=lambda choice: bool(choice.problem))


def command_choices(keymap: Mapping[str, str], lost: bool) -> list[Choice]:
    """Commands that can be given now, the screen's own first; attaching again is offered when the host is `lost`."""
    return [
        Choice(
            id=command.id,
            name=command.title,
            detail="  ".join(key_name(key) for key in keys_of(command, keymap)[:1]),
            note=command.help,
        )
        for command in sorted(COMMANDS, key=lambda command: command.where is Where.APP)
        if command.palette and command.available and (lost or command.id != "attach")
    ]


def theme_choices(names: Iterable[str], now: str) -> list[Choice]:
    """Themes; Footplate's own come first."""
    own = sorted(name for name in names if name.startswith("footplate"))
    others = sorted(name for name in names if not name.startswith("footplate"))
    return [Choice(id=name, name=name, chosen=name == now) for name in (*own, *others)]


def conversation_choices(view: HostView, open_now: int | None, now: float) -> list[Choice]:
    """Conversations, newest first; `now` is Unix time."""
    return [
        Choice(
            id=str(summary.id),
            name=text.one_line(summary.title, 120) or "New chat",
            detail="writing" if summary.busy else when(summary.updated, now),
            chosen=summary.id == open_now,
        )
        for summary in view.conversations
    ]


def when(moment: float, now: float) -> str:
    """A Unix time in few words, seen from `now`: the time today, else the date."""
    then, today = datetime.fromtimestamp(moment), datetime.fromtimestamp(now)
    if then.date() == today.date():
        return then.strftime("%H:%M")
    return then.strftime("%d %b" if then.year == today.year else "%d %b %Y").lstrip("0")
