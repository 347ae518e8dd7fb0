"""What the host must know of the scripted runtime."""

from __future__ import annotations

import msgspec

from engine.runtimes.scripted.script import read
from engine.types import Hardware, LoadPlan, ModelEntry

_MEMORY = 48 * 1024 * 1024


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a scripted model is loaded; `None` leaves it to the script."""

    context: int | None = None
    slots: int | None = None


class ScriptedSpec:
    """The host's side: a script needs next to no memory, and takes any context."""

    name = "scripted"
    label = "Scripted"
    formats = frozenset({"scripted"})
    worker_module = "engine.runtimes.scripted.worker"
    distribution: str | None = None
    saves_prefixes = False

    def plan(
        self,
        model: ModelEntry,
        hardware: Hardware,
        *,
        context: int | None = None,
        slots: int | None = None,
        threads: int | None = None,
    ) -> LoadPlan:
        """The context the user wants, else the script's. Raises `CorruptModel` when the script cannot be read."""
        script = read(model.path)
        size = context or script.context
        reason = "The context was asked for." if context else "The script says context and slots."
        return LoadPlan(
            runtime=self.name,
            context=size,
            slots=slots or script.slots,
            memory=_MEMORY,
            options=msgspec.to_builtins(Options(context=size, slots=slots or script.slots)),
            reasons=(reason,),
        )
