"""Loading a model in the child, with progress."""

from __future__ import annotations

import time
import traceback

import msgspec

from engine.errors import ErrorInfo, FootplateError, InsufficientMemory, ModelLoadError
from engine.types import LoadedFacts
from engine.worker.backend import Backend
from engine.worker.loop.wire import Wire
from engine.worker.protocol import Load, LoadFailed, LoadProgress

_NOTICEABLE = 0.005


def load(backend: Backend, wire: Wire, command: Load) -> LoadedFacts | None:
    """What the backend says of the loaded model; `None` after a failure, which has been reported."""
    progress = _Progress(wire)
    begun = time.monotonic()
    try:
        facts = backend.load(command.path, command.options, progress.tell)
    except Exception as error:  # noqa: BLE001 - whatever a runtime raises has to reach the host
        traceback.print_exc()
        wire.send([LoadFailed(error=_explained(error, command.path))])
        return None
    return msgspec.structs.replace(facts, load_s=facts.load_s or time.monotonic() - begun)


class _Progress:
    """Passes progress on when it has changed noticeably: runtimes report every tensor."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._last = LoadProgress(fraction=-1.0)

    def tell(self, fraction: float, stage: str) -> None:
        """Called by the backend."""
        if stage == self._last.stage and fraction < 1 and abs(fraction - self._last.fraction) < _NOTICEABLE:
            return
        self._last = LoadProgress(fraction=min(1.0, max(0.0, fraction)), stage=stage)
        self._wire.send([self._last])


def _explained(error: Exception, path: str) -> ErrorInfo:
    if isinstance(error, FootplateError):
        return error.info
    if isinstance(error, MemoryError):
        return InsufficientMemory(
            f"There was not enough memory to load {path}.",
            remedy="Close other programs, unload other models, or choose a smaller model or context.",
        ).info
    return ModelLoadError(f"{path} could not be loaded ({type(error).__name__}): {error}").info
