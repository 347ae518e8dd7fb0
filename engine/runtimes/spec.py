"""What the host must know of a runtime without importing it."""

from __future__ import annotations

from typing import Protocol

from engine.types import Hardware, LoadPlan, ModelEntry


class RuntimeSpec(Protocol):
    """The host's side of a runtime: pure, cheap to import."""

    name: str
    """Key of the runtime: `llama_cpp`, `scripted`, …"""
    label: str
    """Its name for people: `llama.cpp`, …"""
    formats: frozenset[str]
    """Model formats it opens (`ModelEntry.format`)."""
    worker_module: str
    """Module the child is started with (`python -P -m …`)."""
    distribution: str | None
    """The Python distribution that has to be installed, or `None` when nothing has."""

    saves_prefixes: bool
    """Its worker takes the load options that `PrefixFolder.options` gives."""

    def plan(
        self,
        model: ModelEntry,
        hardware: Hardware,
        *,
        context: int | None = None,
        slots: int | None = None,
        threads: int | None = None,
    ) -> LoadPlan:
        """Context, slots, threads and offload for `model` on `hardware`, with the estimate they rest on.

        `context` (in tokens), `slots` and `threads` are the user's wishes. Raises `InsufficientMemory` with the
        arithmetic when nothing sensible fits, `CorruptModel` when the file's metadata cannot be read.
        """
        ...
