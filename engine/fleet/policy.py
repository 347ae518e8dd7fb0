"""Decisions about residency, pure: who makes room, and which model is held back after its worker died too often."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import InsufficientMemory
from engine.types import Hardware, LoadPlan

DEATHS_ALLOWED = 2
"""A model's worker may die so often within the window and is started again at the next request."""
WINDOW_S = 600.0
FIRST_HOLD_S = 10.0
LONGEST_HOLD_S = 300.0


class Resident(Struct, frozen=True, kw_only=True):
    """A loaded model, as far as making room goes."""

    model: str
    memory: int
    """Bytes that ending its worker gives back."""
    last_used: float
    busy: bool


class Decision(Struct, frozen=True, kw_only=True):
    """How a model is loaded, and who has to go first."""

    plan: LoadPlan
    evict: tuple[str, ...] = ()


def decide(plan: Callable[[Hardware], LoadPlan], hardware: Hardware, residents: Sequence[Resident]) -> Decision:
    """The plan that the model would get on an otherwise idle machine, for as few evictions as that takes.

    Idle residents go, the one unused for longest first; busy ones never. Raises `InsufficientMemory` (from `plan`)
    when even without all idle residents nothing sensible fits.
    """
    idle = sorted((resident for resident in residents if not resident.busy), key=lambda resident: resident.last_used)
    best = plan(_without(hardware, idle))
    for count in range(len(idle)):
        try:
            enough = plan(_without(hardware, idle[:count]))
        except InsufficientMemory:
            continue
        if enough.context >= best.context and enough.slots >= best.slots:
            return Decision(plan=enough, evict=tuple(resident.model for resident in idle[:count]))
    return Decision(plan=best, evict=tuple(resident.model for resident in idle))


def held_for(deaths: Sequence[float], now: float) -> float:
    """Seconds for which a model is still held back, 0 when it may be started; `deaths` are times, oldest first.

    The wait doubles with every death beyond those allowed.
    """
    recent = [death for death in deaths if now - death < WINDOW_S]
    beyond = len(recent) - DEATHS_ALLOWED
    if beyond < 1:
        return 0.0
    hold: float = min(FIRST_HOLD_S * 2 ** (beyond - 1), LONGEST_HOLD_S)
    return max(0.0, recent[-1] + hold - now)


def _without(hardware: Hardware, gone: Sequence[Resident]) -> Hardware:
    """What would be free if these were gone; what is not known stays unknown."""
    back = sum(resident.memory for resident in gone)
    return replace(hardware, memory_free=None if hardware.memory_free is None else hardware.memory_free + back)
