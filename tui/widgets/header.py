"""The header: model, runtime, state, speed, context, memory, API; every field keeps its place."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from engine.types import ChatMessage, WorkerState
from tui import text
from tui.state import HostView

_STATES = {
    WorkerState.READY: "● ready",
    WorkerState.BUSY: "● busy",
    WorkerState.UNLOADING: "○ leaving",
    WorkerState.GONE: "○ idle",
    WorkerState.CRASHED: "✗ crashed",
}
_RUNTIMES = {"llama_cpp": "llama.cpp", "openvino": "OpenVINO", "mlx": "MLX"}


@dataclass(frozen=True, slots=True)
class Gauges:
    """The header's fields, ready to show; `n/a` is unknown."""

    model: str
    runtime: str
    state: str
    tok_s: str
    context: str
    memory: str
    api: str


def gauges(view: HostView, last: ChatMessage | None, tok_s: float | None) -> Gauges:
    """What the header says: `last` is the newest finished answer of the open conversation, `tok_s` a live rate."""
    worker = view.worker
    facts, stats = (worker.facts, worker.stats) if worker else (None, None)
    used = None
    if last is not None and last.finish is not None:
        used = last.finish.usage.prompt_tokens + last.finish.usage.completion_tokens
    elif stats is not None:
        used = stats.context_used
    memory = (stats.memory if stats else None) or (facts.memory if facts else None)
    measured = stats.decode_tok_s if stats else None
    rate = text.live_rate(tok_s) if tok_s is not None else text.rate(measured)
    return Gauges(
        model=text.one_line(view.active_model, 60) if view.active_model else "n/a",
        runtime=_RUNTIMES.get(worker.runtime, worker.runtime) if worker else "n/a",
        state=_state(view),
        tok_s=f"{rate} tok/s",
        context=f"{text.count(used)}/{text.count(facts.context if facts else None)} ctx",
        memory=f"{text.size(memory)}" if memory else "n/a mem",
        api=_api(view),
    )


def _state(view: HostView) -> str:
    if view.connection != "attached":
        return "○ starting" if view.connection == "connecting" else "✗ offline"
    worker = view.worker
    if worker is None:
        return "○ idle"
    if worker.state is WorkerState.LOADING:
        return "◐ loading" if worker.progress is None else f"◐ {worker.progress:4.0%}"
    return _STATES[worker.state]


def _api(view: HostView) -> str:
    if view.api is None:
        return "API n/a"
    if view.api.error is not None:
        return "API ✗"
    return "API on" if view.api.enabled else "API off"


class Header(Widget):
    """One line of gauges."""

    fields: reactive[Gauges | None] = reactive(None)

    def render(self) -> Content:
        """The model takes the room that the fixed fields leave."""
        fields = self.fields
        if fields is None:
            return Content("")
        wide = self.size.width >= 100
        cells = [
            fields.runtime.ljust(9),
            fields.state.ljust(11 if wide else 10),
            fields.tok_s.rjust(12 if wide else 11),
            fields.context.rjust(13),
            fields.memory.rjust(8),
            fields.api.ljust(7),
        ]
        gap = "   " if wide else " "
        right = gap.join(cells)
        room = max(6, self.size.width - len(right) - len(gap))
        model = fields.model if len(fields.model) <= room else fields.model[: room - 1] + "…"
        at = len(model.ljust(room)) + len(gap) + len(cells[0]) + len(gap)
        content = Content.assemble((model.ljust(room), "bold"), gap, (right, "$secondary"))
        live = fields.state.startswith(("●", "◐"))
        style = "$error bold" if fields.state.startswith("✗") else "$primary" if live else "$secondary"
        return content.stylize(style, at, at + len(cells[1]))
