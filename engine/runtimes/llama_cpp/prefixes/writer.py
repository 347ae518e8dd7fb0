"""Writes states to disk on a thread of its own, one at a time: steps go on beside it."""

from __future__ import annotations

import queue
import threading
import time
from pathlib import Path

from msgspec import Struct

from engine.runtimes.llama_cpp.prefixes import file
from engine.runtimes.llama_cpp.prefixes.file import State, Tokens


class Task(Struct, frozen=True, eq=False):
    """A state on its way to disk."""

    path: Path
    tokens: Tokens
    state: State


class Done(Struct, frozen=True, eq=False):
    """What became of a task."""

    task: Task
    seconds: float
    error: OSError | MemoryError | None = None


class Writer:
    """One write at a time. The thread ends with the process, whatever it is doing: files are whole or absent."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.busy = False
        """A task was begun whose end has not been collected."""

    def begin(self, task: Task) -> None:
        """Writes in the background; only when not `busy`."""
        self.busy = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="saved prefixes", daemon=True)
            self._thread.start()
        self._tasks.put(task)

    def collect(self, timeout_s: float = 0.0) -> Done | None:
        """What became of the task, once it has ended."""
        if not self.busy:
            return None
        try:
            done = self._done.get(timeout=timeout_s) if timeout_s > 0 else self._done.get_nowait()
        except queue.Empty:
            return None
        self.busy = False
        return done

    def _run(self) -> None:
        while True:
            task = self._tasks.get()
            started = time.perf_counter()
            error: OSError | MemoryError | None = None
            try:
                task.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file.write(task.path, self._key, task.tokens, task.state)
            except (OSError, MemoryError) as failure:  # memory is short while a template is rendered, which is bounded
                error = failure
            self._done.put(Done(task, time.perf_counter() - started, error))
