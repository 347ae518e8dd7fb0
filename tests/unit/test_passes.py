"""Which inputs are computed together: nobody is left out, nobody waits for the whole of another's work."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from engine.worker.loop.passes import compose


@dataclass
class Asked:
    sizes: list[int]
    given: int = 0

    def peek(self) -> int | None:
        return self.sizes[self.given] if self.given < len(self.sizes) else None

    def take(self) -> int:
        self.given += 1
        return self.given - 1


def batches(requests: list[Asked], together: int, inputs: int) -> list[list[tuple[int, int]]]:
    waiting, found = deque(requests), []
    numbers = {id(request): number for number, request in enumerate(requests)}
    while waiting:
        batch = compose(waiting, together=together, inputs=inputs)
        found.append([(numbers[id(request)], index) for request, index in batch])
    return found


def test_requests_take_turns() -> None:
    assert batches([Asked([4] * 3), Asked([4])], 8, 8) == [[(0, 0), (1, 0)], [(0, 1), (0, 2)]]


def test_a_long_input_is_a_batch_of_its_own_and_waits_for_one_batch_at_most() -> None:
    assert batches([Asked([2, 2, 2]), Asked([100]), Asked([2, 2])], 8, 8) == [
        [(0, 0)],
        [(1, 0)],
        [(2, 0), (0, 1), (2, 1), (0, 2)],
    ]


@given(
    st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), min_size=1, max_size=6),
    st.integers(1, 40),
    st.integers(1, 6),
)
def test_every_input_is_given_out_once_within_the_limits(sizes: list[list[int]], together: int, inputs: int) -> None:
    found = batches([Asked(list(each)) for each in sizes], together, inputs)
    assert sorted(pair for batch in found for pair in batch) == [
        (request, index) for request, each in enumerate(sizes) for index in range(len(each))
    ]
    for batch in found:
        assert 0 < len(batch) <= inputs
        assert len(batch) == 1 or sum(sizes[request][index] for request, index in batch) <= together
