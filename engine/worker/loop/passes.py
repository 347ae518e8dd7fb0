"""Which inputs of which requests are computed together."""

from __future__ import annotations

from collections import deque
from typing import Protocol, TypeVar


class Waiting(Protocol):
    """A request with inputs that are not computed yet."""

    def peek(self) -> int | None:
        """Tokens of its next input; `None` when there is none."""
        ...

    def take(self) -> int:
        """The number of its next input, which is thereby given out."""
        ...


W = TypeVar("W", bound=Waiting)


def compose(waiting: deque[W], *, together: int, inputs: int) -> list[tuple[W, int]]:
    """A batch: one input of each request in turn, up to `inputs` of them with `together` tokens in all.

    Requests that have given out everything leave `waiting`. The first input is taken however long it is; who was not
    reached, or did not fit, is first in the next batch, so that nobody waits for the whole of another's work.
    """
    chosen: list[tuple[W, int]] = []
    room = together
    while waiting and len(chosen) < inputs:
        size = waiting[0].peek()
        if size is None:
            waiting.popleft()
            continue
        if chosen and size > room:
            break
        room -= size
        chosen.append((waiting[0], waiting[0].take()))
        waiting.rotate(-1)
    while waiting and waiting[0].peek() is None:
        waiting.popleft()
    return chosen
