"""The one way a schema is refused."""

from __future__ import annotations

from engine.errors import BadInput


class CannotExpress(Exception):
    """A keyword of a schema that no grammar here can keep; `place` is a path of keys, the last the keyword."""

    def __init__(self, place: tuple[str | int, ...], why: str) -> None:
        super().__init__(why)
        self.place = place
        self.why = why

    def refusal(self, param: str) -> BadInput:
        """The error for the client, `param` being the field that holds the schema."""
        where = param + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.place)
        keyword = next((part for part in reversed(self.place) if isinstance(part, str)), "schema")
        return BadInput(
            f"The JSON schema cannot be kept to: {self.why} ({keyword!r} at {where}).",
            remedy="Leave that keyword out, or say the same with others.",
            param=where,
        )
