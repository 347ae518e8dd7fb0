"""Which adapters a request is answered with."""

from __future__ import annotations

from engine.errors import BadInput
from engine.types import Adapter, AdapterWish
from engine.worker.backend import AdapterSet


def adapter_set(wishes: tuple[AdapterWish, ...] | None, loaded: tuple[Adapter, ...]) -> AdapterSet:
    """The adapters that apply, by their ids; those with scale 0 do not. `None` wishes the model's own setting.

    Raises `BadInput` for one that is not loaded, and for one that is named twice.
    """
    if wishes is None:
        return tuple((number, adapter.scale) for number, adapter in enumerate(loaded) if adapter.scale)
    found: dict[int, float] = {}
    for wish in wishes:
        number = _number(wish, loaded)
        if number in found:
            raise BadInput(f"The adapter {loaded[number].name} is named twice.", param="lora")
        found[number] = wish.scale
    return tuple((number, scale) for number, scale in sorted(found.items()) if scale)


def _number(wish: AdapterWish, loaded: tuple[Adapter, ...]) -> int:
    for number, adapter in enumerate(loaded):
        if number == wish.id or adapter.name == wish.name:
            return number
    named = repr(wish.name) if wish.name is not None else str(wish.id)
    there = ", ".join(f"{adapter.name} ({number})" for number, adapter in enumerate(loaded))
    raise BadInput(
        f"The model has no adapter {named}.",
        meaning=f"There are, with their ids: {there}." if there else "It was loaded without any.",
        remedy="Name one of these." if there else "List its files under [runtime.lora] in the settings.",
        param="lora",
    )
