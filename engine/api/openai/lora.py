"""The adapters that a body asks for."""

from __future__ import annotations

from engine.api.openai.sampling import whole
from engine.api.openai.wire import SamplingBody
from engine.errors import BadInput
from engine.types import AdapterWish

_STRONGEST = 100
_MOST = 64


def adapters(body: SamplingBody) -> tuple[AdapterWish, ...] | None:
    """The wishes; whether the model has them is its own business. `None` when nothing is said. Raises `BadInput`."""
    if body.lora is None:
        return None
    if len(body.lora) > _MOST:
        raise BadInput(f"lora has {len(body.lora)} adapters.", remedy=f"Send at most {_MOST}.", param="lora")
    found = []
    for index, wish in enumerate(body.lora):
        param = f"lora[{index}]"
        if (wish.name is None) == (wish.id is None):
            raise BadInput(f"{param} has to have a name or an id, and not both.", param=param)
        number = whole(wish.id, f"{param}.id")
        scale = 1.0 if wish.scale is None else wish.scale
        if not -_STRONGEST <= scale <= _STRONGEST:
            raise BadInput(
                f"{param}.scale is {scale}.",
                remedy=f"It lies between {-_STRONGEST} and {_STRONGEST}.",
                param=f"{param}.scale",
            )
        if number is not None and not 0 <= number < _MOST:
            raise BadInput(f"{param}.id is {number}, which is no adapter.", param=f"{param}.id")
        found.append(AdapterWish(name=wish.name, id=number, scale=scale))
    return tuple(found)
