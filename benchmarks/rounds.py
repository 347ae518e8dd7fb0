"""Rounds of a scenario on servers that take turns, and what they make together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from scenarios import Run, Sample, Scenario, Sizes
from servers import Server


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario over all rounds."""

    name: str
    what: str
    unit: str
    values: dict[str, float | None] = {}
    """By server, ours first: the median of the rounds, for `mixed8` the percentile of all their requests."""
    ratio: float | None = None
    goal: float
    at_most: bool
    met: bool | None = None
    note: str = ""
    rounds: dict[str, list[Sample]] = {}


class Clock:
    """How long the run may go on."""

    def __init__(self, seconds: float) -> None:
        self._began = time.monotonic()
        self._seconds = seconds

    @property
    def passed_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    @property
    def left_s(self) -> float:
        """Seconds until it has to end; negative afterwards."""
        return self._seconds - self.passed_s


async def compare(run: Run, scenario: Scenario, servers: Sequence[Server], rounds: int, clock: Clock) -> Outcome:
    """All rounds of a scenario. The servers take turns, and whoever was first is second in the next round.

    No round is begun when the time left is shorter than the last one took, and one that does not end in time is left
    out.
    """
    rounds = scenario.rounds or rounds
    taken: dict[str, list[Sample]] = {server.label: [] for server in servers}
    lasted = 0.0
    for number in range(rounds):
        before = clock.left_s
        if before <= lasted:
            break
        turns = servers if number % 2 == 0 else servers[::-1]
        try:
            async with asyncio.timeout(before):
                samples = [await _turn(run, scenario, server, number) for server in turns]
        except TimeoutError:
            break
        for server, sample in zip(turns, samples, strict=True):
            taken[server.label].append(sample)
        lasted = before - clock.left_s
    return outcome(scenario, run.sizes, taken, rounds)


async def _turn(run: Run, scenario: Scenario, server: Server, number: int) -> Sample:
    sample = await scenario.measure(run, server, number)
    print(f"{scenario.name:10}{number + 1:3}  {server.label:16}{shown(sample.value, scenario.unit)}", flush=True)
    await server.at_rest()
    return sample


def outcome(scenario: Scenario, sizes: Sizes, taken: dict[str, list[Sample]], wanted: int) -> Outcome:
    """What the rounds make together."""
    values = {label: scenario.gather(samples) if samples else None for label, samples in taken.items()}
    first, second = (*values.values(), None)[:2]
    ratio = None
    if first is not None and second is not None:
        ratio = second / first if scenario.inverse else first / second
    done = min(len(samples) for samples in taken.values())
    return Outcome(
        name=scenario.name,
        what=scenario.title(sizes),
        unit=scenario.unit,
        values=values,
        ratio=ratio,
        goal=scenario.goal,
        at_most=scenario.at_most,
        met=None if ratio is None else scenario.met(ratio),
        note="" if done == wanted else f"the time was up after {done} of {wanted} rounds",
        rounds=taken,
    )


def missing(scenario: Scenario, sizes: Sizes, note: str) -> Outcome:
    """The outcome of what cannot be measured."""
    return Outcome(
        name=scenario.name,
        what=scenario.title(sizes),
        unit=scenario.unit,
        goal=scenario.goal,
        at_most=scenario.at_most,
        note=note,
    )


def shown(value: float | None, unit: str) -> str:
    """A value with its unit, for people."""
    if value is None:
        return "unknown"
    if unit == "bytes":
        return f"{value / 1e6:,.0f} MB"
    return f"{value:.3f} s" if unit == "s" else f"{value:.1f} {unit}"
