from __future__ import annotations

import pytest

from engine.errors import InsufficientMemory
from engine.fleet.policy import FIRST_HOLD_S, LONGEST_HOLD_S, WINDOW_S, Resident, decide, held_for
from engine.types import Hardware, LoadPlan

GIB = 2**30


def plan(hardware: Hardware) -> LoadPlan:
    """A model of 2 GiB whose context takes 1 GiB for each 1,000 tokens, up to 4,000."""
    free = (hardware.memory_free or 0) // GIB
    if free < 3:
        raise InsufficientMemory(f"It needs 3 GiB and {free} are free.")
    return LoadPlan(runtime="r", context=1000 * min(free - 2, 4), slots=1, memory=free * GIB)


def resident(model: str, gib: int, last_used: float, *, busy: bool = False) -> Resident:
    return Resident(model=model, memory=gib * GIB, last_used=last_used, busy=busy)


def free(gib: int) -> Hardware:
    return Hardware(memory_free=gib * GIB)


def test_nobody_goes_where_there_is_room() -> None:
    decision = decide(plan, free(8), [resident("a", 4, 1.0)])
    assert decision.evict == ()
    assert decision.plan.context == 4000


def test_the_one_unused_for_longest_goes_first_and_no_more_than_needed() -> None:
    decision = decide(plan, free(2), [resident("new", 4, 9.0), resident("old", 4, 1.0), resident("mid", 4, 5.0)])
    assert decision.evict == ("old",)
    assert decision.plan.context == 4000


def test_who_is_busy_stays() -> None:
    decision = decide(plan, free(2), [resident("old", 4, 1.0, busy=True), resident("new", 4, 9.0)])
    assert decision.evict == ("new",)
    with pytest.raises(InsufficientMemory, match="2 are free"):
        decide(plan, free(2), [resident("old", 4, 1.0, busy=True)])


def test_a_context_cut_short_is_worth_an_idle_model() -> None:
    decision = decide(plan, free(4), [resident("idle", 4, 1.0)])
    assert decision.evict == ("idle",)
    assert decision.plan.context == 4000


def test_two_deaths_are_forgiven_and_the_third_holds_back() -> None:
    assert held_for([], 100.0) == 0
    assert held_for([98.0, 99.0], 100.0) == 0
    assert held_for([97.0, 98.0, 99.0], 100.0) == FIRST_HOLD_S - 1
    assert held_for([97.0, 98.0, 99.0], 99.0 + FIRST_HOLD_S) == 0


def test_the_wait_doubles_up_to_a_limit_and_old_deaths_are_forgotten() -> None:
    assert held_for([1.0, 2.0, 3.0, 4.0], 4.0) == 2 * FIRST_HOLD_S
    assert held_for([float(number) for number in range(20)], 19.0) == LONGEST_HOLD_S
    assert held_for([1.0, 2.0, 3.0 + WINDOW_S], 3.0 + WINDOW_S) == 0
