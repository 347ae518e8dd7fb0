"""How often each model's worker died, and whether that holds the model back."""

from __future__ import annotations

import time

from engine.errors import FootplateError, WorkerDied, WorkerHeldBack
from engine.fleet.policy import WINDOW_S, held_for


class Deaths:
    """The deaths of workers, by model."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}
        self._last: dict[str, FootplateError] = {}

    def note(self, model: str, error: WorkerDied) -> FootplateError:
        """Counts a death; what is to be told of it: the death itself, or that the model is held back now."""
        now = time.monotonic()
        recent = [death for death in self._times.get(model, []) if now - death < WINDOW_S]
        self._times[model] = [*recent, now]
        self._last[model] = error
        return self.held(model) or error

    def held(self, model: str) -> WorkerHeldBack | None:
        """Why `model` may not be started now, if it may not."""
        deaths = self._times.get(model, [])
        wait = held_for(deaths, time.monotonic())
        if not wait:
            return None
        return WorkerHeldBack(
            f"{model} is held back, because its worker died {len(deaths)} times.",
            meaning=f"The last time: {self._last[model].info.what}",
            remedy=f"A request after {wait:.0f} s tries it again, and so does unloading it first. "
            "The log has what the worker printed.",
            retry_after_s=round(wait, 1),
        )

    def forget(self, model: str) -> None:
        """Gives `model` a fresh start."""
        self._times.pop(model, None)
