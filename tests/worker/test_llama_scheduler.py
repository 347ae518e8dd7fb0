"""Decisions of the scheduler and of the pace, without a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtimes.llama_cpp.pace import SMALLEST, Pace
from engine.runtimes.llama_cpp.scheduler import Scheduler, common_prefix
from engine.runtimes.llama_cpp.slots import Sequence
from engine.types import Sampling
from engine.worker.backend import Job


class Recorder:
    """A KV cache that notes what is done to it."""

    def __init__(self, *, shares: bool = True) -> None:
        self.shares = shares
        self.done: list[tuple[str, int, int]] = []

    def truncate(self, slot: int, length: int) -> bool:
        self.done.append(("truncate", slot, length))
        return self.shares or length == 0

    def copy(self, source: int, target: int, length: int) -> None:
        self.done.append((f"copy from {source}", target, length))

    def continues(self, slot: int, length: int) -> bool:
        return True


class Shelf:
    """One saved state that begins like any prompt."""

    def __init__(self, shared: int, *, cells: int, works: bool = True, partial: bool = True) -> None:
        self.shared, self.cells, self.partial = shared, cells, partial
        self._works = works
        self.kept: list[int] = []

    def find(self, tokens: list[int], beyond: int) -> Shelf | None:
        return self if beyond < self.shared < len(tokens) else None

    def restore(self, slot: int) -> bool:
        return self._works

    def keep(self, slot: int, tokens: list[int], *, beside_streams: bool) -> None:
        self.kept.append(len(tokens))

    def checkpoints(self, prompt: tuple[int, ...], at_hand: int) -> list[int]:
        return [] if self.partial else [40, 90]


def sequence(number: int, tokens: list[int]) -> Sequence:
    job = Job(id=number, tokens=tuple(tokens), sampling=Sampling(), max_tokens=100)
    return Sequence(job, lambda _row: 0, list(tokens))


def settle(scheduler: Scheduler, number: int, tokens: list[int]) -> Sequence:
    """Runs a sequence through, so that its slot keeps `tokens`."""
    done = sequence(number, tokens)
    scheduler.waiting.append(done)
    scheduler.admit()
    assert done.slot is not None
    done.slot.filled = len(tokens)
    scheduler.release(done)
    return done


@given(st.lists(st.integers(0, 2), max_size=40), st.lists(st.integers(0, 2), max_size=40), st.integers(0, 40))
def test_common_prefix(a: list[int], b: list[int], filled: int) -> None:
    filled = min(filled, len(b))
    plain = 0
    while plain < min(len(a), filled) and a[plain] == b[plain]:
        plain += 1
    assert common_prefix(a, b, filled) == plain


def test_recurrent_states_are_reused_only_where_the_prompt_goes_on() -> None:
    cache = Recorder(shares=False)
    scheduler = Scheduler(cache, slots=2, cells=1000)
    settle(scheduler, 1, list(range(10)))
    longer, edited = sequence(2, list(range(12))), sequence(3, [*range(8), 99, 98])
    scheduler.waiting.append(longer)
    scheduler.admit()
    assert longer.cached == 10
    scheduler.release(longer)
    scheduler.waiting.append(edited)
    scheduler.admit()
    assert edited.cached == 0


def test_long_prefixes_give_way_in_the_end() -> None:
    scheduler = Scheduler(Recorder(), slots=2, cells=100_000)
    settle(scheduler, 0, list(range(1000)))
    kept = []
    for number in range(1, 100):
        settle(scheduler, number, [5000 + number] * 50)
        kept.append(any(slot.filled == 1000 for slot in scheduler.slots))
    assert all(kept[:10]) and not kept[-1]


def test_prompts_that_do_not_fit_beside_each_other_wait() -> None:
    scheduler = Scheduler(Recorder(), slots=4, cells=1000)
    scheduler.waiting.extend([sequence(1, [1] * 600), sequence(2, [2] * 600), sequence(3, [3] * 10)])
    scheduler.admit()
    assert [each.job.id for each in scheduler.running] == [1]
    scheduler.release(scheduler.running[0])
    scheduler.admit()
    assert [each.job.id for each in scheduler.running] == [2, 3]


def test_room_is_made_from_idle_slots_first_then_from_the_last_come() -> None:
    scheduler = Scheduler(Recorder(), slots=3, cells=1000)
    settle(scheduler, 1, [1] * 50)
    first, second = sequence(2, [2] * 10), sequence(3, [3] * 10)
    scheduler.waiting.extend([first, second])
    scheduler.admit()
    assert scheduler.make_room() is None and len(scheduler.running) == 2
    assert scheduler.make_room() is None and scheduler.running == [first]
    assert scheduler.waiting[0] is second
    assert scheduler.make_room() is first


def test_a_saved_state_is_taken_where_it_spares_more_than_a_live_slot() -> None:
    scheduler = Scheduler(Recorder(), slots=2, cells=1000, saved=Shelf(50, cells=80))
    settle(scheduler, 1, list(range(20)))
    better, worse = sequence(2, list(range(100))), sequence(3, list(range(60)))
    scheduler.waiting.extend([better, worse])
    scheduler.admit()
    assert (better.cached, better.slot and better.slot.filled) == (50, 50)
    assert worse.cached == 50


def test_a_state_that_does_not_go_in_leaves_the_live_prefix() -> None:
    scheduler = Scheduler(Recorder(), slots=2, cells=1000, saved=Shelf(50, cells=80, works=False))
    settle(scheduler, 1, [*range(20), *[900] * 60])
    scheduler.waiting.append(again := sequence(2, list(range(100))))
    scheduler.admit()
    assert again.cached == 20


def test_a_state_that_has_no_room_beside_what_runs_costs_no_live_prefix() -> None:
    scheduler = Scheduler(Recorder(), slots=2, cells=300, saved=Shelf(50, cells=280))
    settle(scheduler, 1, list(range(30)))
    scheduler.waiting.append(other := sequence(2, [7] * 40))
    scheduler.admit()
    assert other.slot is not None
    other.slot.filled = 40
    scheduler.waiting.append(again := sequence(3, list(range(100))))
    scheduler.admit()
    assert again.cached == 30


def test_a_slot_is_offered_for_saving_before_it_is_given_up() -> None:
    saved = Shelf(0, cells=0)
    scheduler = Scheduler(Recorder(), slots=1, cells=1000, saved=saved)
    settle(scheduler, 1, list(range(30)))
    settle(scheduler, 2, list(range(500, 540)))
    assert saved.kept == [30]
    scheduler.make_room()
    assert saved.kept == [30, 40]


def test_idle_slots_make_room_for_a_restored_state() -> None:
    saved = Shelf(0, cells=150)
    scheduler = Scheduler(Recorder(), slots=3, cells=300, saved=saved)
    settle(scheduler, 1, [1] * 120)
    settle(scheduler, 2, [2] * 120)
    saved.shared = 100
    scheduler.waiting.append(restored := sequence(3, [3] * 110))
    scheduler.admit()
    assert restored.cached == 100
    assert sorted(slot.filled for slot in scheduler.slots) == [0, 100, 120]


def test_a_step_ends_at_a_checkpoint() -> None:
    scheduler = Scheduler(Recorder(), slots=1, cells=1000, saved=Shelf(0, cells=0, partial=False))
    scheduler.waiting.append(sequence(1, list(range(120))))
    scheduler.admit()
    ends = []
    while (slot := scheduler.slots[0]).filled < 120:
        (piece,) = scheduler.compose(512, lambda _streams: 64)
        ends.append(piece.end)
        slot.filled = piece.end
    assert ends == [40, 90, 120]


@given(st.lists(st.integers(1, 600), min_size=1, max_size=8), st.integers(64, 512), st.integers(32, 512))
def test_a_step_stays_in_its_budget_and_moves_everyone(lengths: list[int], budget: int, chunk: int) -> None:
    scheduler = Scheduler(Recorder(), slots=8, cells=1 << 20)
    scheduler.waiting.extend(sequence(number, [number + 1] * length) for number, length in enumerate(lengths))
    scheduler.admit()
    pieces = scheduler.compose(budget, lambda _streams: chunk)
    assert sum(piece.end - piece.start for piece in pieces) <= budget
    assert len(pieces) == len(lengths)
    assert all(piece.start < piece.end <= len(piece.sequence.tokens) for piece in pieces)


def test_the_pace_follows_what_is_measured() -> None:
    pace = Pace(512)
    assert pace.chunk(False) == 64
    pace.measured(100, 0.1)
    assert (pace.chunk(False), pace.chunk(True)) == (512, 128)
    for _ in range(50):
        pace.measured(64, 64 * 0.04)
    assert (pace.chunk(False), pace.chunk(True)) == (SMALLEST, SMALLEST)


def test_small_steps_say_nothing_of_the_pace() -> None:
    pace = Pace(512)
    pace.measured(2, 5.0)
    assert pace.chunk(False) == 64


@pytest.mark.parametrize("most", [64, 100, 512])
def test_a_chunk_is_never_more_than_a_step_takes(most: int) -> None:
    pace = Pace(most)
    pace.measured(64, 1e-6)
    assert pace.chunk(False) <= most
