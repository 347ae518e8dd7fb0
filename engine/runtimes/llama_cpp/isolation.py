"""What becomes of sequences in whose step something was computed that is no number.

Attention reads every cell of the shared KV cache and weighs those of other sequences with nothing; but nothing times
what is no number is no number. So whose step goes wrong need not be whose fault it is, and cells that were given up go
on doing harm. All is wiped, and each sequence is computed again from nothing and with nothing beside it: the one that
goes wrong then is at fault, and the others' users notice a pause alone.
"""

from __future__ import annotations

from typing import Protocol

from engine.errors import CorruptModel
from engine.runtimes.llama_cpp.scheduler import Scheduler
from engine.runtimes.llama_cpp.slots import Sequence


class Wipeable(Protocol):
    """The KV cache as a whole."""

    def wipe(self) -> None:
        """Empties and overwrites it."""
        ...


def isolate(scheduler: Scheduler, cache: Wipeable) -> list[Sequence]:
    """Begins anew after a step that went wrong; gives the sequences at fault, which are off their slots.

    The others go back to the head of the queue in their order.
    """
    guilty = [sequence for sequence in scheduler.running if sequence.alone]
    for sequence in scheduler.running[::-1]:
        scheduler.release(sequence)
        if not sequence.alone:
            sequence.alone = True
            scheduler.waiting.appendleft(sequence)
    for slot in scheduler.slots:
        scheduler.forget(slot)
    cache.wipe()
    return guilty


def acquit(scheduler: Scheduler) -> None:
    """After a step that gave numbers for what runs: a sequence that was computed alone is at fault for nothing."""
    for sequence in scheduler.running:
        sequence.alone = False


def no_number(model: str) -> CorruptModel:
    """The error for an answer, or a model, that comes to what is no number."""
    return CorruptModel(
        f"The output of {model} is not a number.",
        meaning="Its file is damaged or was converted badly, or its computation overflows in this precision.",
        remedy="Download or convert it again, or choose another quantization of it.",
    )
