"""JSON bodies into structs; what is wrong is said with its field's name."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from engine.errors import BadInput

T = TypeVar("T")


def parse(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The decoded body. Raises `BadInput`."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_type(str(error)) from error
    except RecursionError as error:
        raise BadInput("The JSON of the request is nested too deeply.") from error
    except ValueError as error:
        raise BadInput(
            f"The body of the request is not JSON: {error}.", remedy="Send a JSON object in UTF-8."
        ) from error


def _wrong_type(text: str) -> BadInput:
    """msgspec's `Expected … - at `$.path`` as a sentence and a field name."""
    what, _, path = text.partition(" - at `$")
    param = path.rstrip("`").lstrip(".")
    missing = re.search(r"missing required field `(\w+)`", what)
    if missing:
        param = f"{param}.{missing[1]}" if param else missing[1]
        return BadInput(f"The field {param} is missing.", param=param)
    return BadInput(f"{param or 'The body of the request'} has the wrong type: {what}.", param=param or None)
