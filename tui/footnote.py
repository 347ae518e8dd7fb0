"""The line under an answer: how it is coming along, and what it took."""

from __future__ import annotations

from engine.errors import ErrorInfo
from engine.events import TurnPrefill
from engine.types import ChatMessage, WorkerInfo, WorkerState
from tui import text

_ENDS = {"length": "cut off: the context is full or the limit is reached", "cancelled": "stopped"}


def footnote(
    answer: ChatMessage,
    *,
    prefill: TurnPrefill | None = None,
    tok_s: float | None = None,
    worker: WorkerInfo | None = None,
    stop_key: str = "Esc",
) -> str:
    """One line of plain text about `answer`; empty where there is nothing to say."""
    model = text.one_line(answer.model or "the model", 40)
    if answer.state == "writing":
        return _progress(answer, model, prefill, tok_s, worker, stop_key)
    if answer.message.tool_calls and answer.state == "complete":
        return ""
    parts = [model] if answer.model else []
    if answer.state == "stopped":
        parts.append("stopped")
    if answer.finish is not None:
        finish = answer.finish
        tokens = finish.usage.completion_tokens
        if finish.timings.decode_s > 0 and tokens > 1:
            parts.append(f"{text.rate((tokens - 1) / finish.timings.decode_s)} tok/s")
        if answer.ttft_s is not None:
            parts.append(f"TTFT {text.seconds(answer.ttft_s)}")
        parts.append(f"{tokens} token{'' if tokens == 1 else 's'}")
        if finish.reason in _ENDS and answer.state != "stopped":
            parts.append(_ENDS[finish.reason])
    return " · ".join(parts)


def _progress(
    answer: ChatMessage,
    model: str,
    prefill: TurnPrefill | None,
    tok_s: float | None,
    worker: WorkerInfo | None,
    stop_key: str,
) -> str:
    ending = f" · {stop_key} stops"
    if answer.message.content or answer.message.reasoning or answer.message.tool_calls:
        return f"{model} is writing · {text.live_rate(tok_s)} tok/s{ending}"
    if prefill is not None and prefill.total > 0:
        return f"Reading the prompt {bar(prefill.done / prefill.total)} {prefill.done}/{prefill.total} tokens{ending}"
    if worker is not None and worker.state is WorkerState.LOADING:
        if worker.progress is None:
            return f"Loading {model}{ending}"
        return f"Loading {model} {bar(worker.progress)} {worker.progress:4.0%}{ending}"
    return f"Waiting for {model}{ending}"


def bar(share: float, cells: int = 12) -> str:
    """A bar of `cells` characters, `share` (0 to 1) of it filled."""
    filled = round(max(0.0, min(1.0, share)) * cells)
    return "━" * filled + "─" * (cells - filled)


def error_text(error: ErrorInfo) -> str:
    """What happened, what it means, what to do: a line for each."""
    lines = [f"✗ {error.what}"]
    lines += [f"  {error.meaning}"] if error.meaning else []
    lines += [f"  → {error.remedy}"] if error.remedy else []
    return text.clean("\n".join(lines))
