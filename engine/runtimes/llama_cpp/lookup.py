"""Guessing what comes next from what stood there before, and how much of it is worth computing.

An answer often repeats its prompt or itself: code that is edited, texts that are quoted, tables. The tokens that
followed the latest ones where they stood before are a guess that costs nothing; a step can prove several of them at
once, and is a little longer for it. Pure: knows no library and no clock.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

MOST_DRAFTED = 16
"""Tokens of one guess."""
LEAST_MATCH = 2
"""Latest tokens that must have stood together before."""
_LONGEST_MATCH = 16
_CLASSES = (4, 8)
"""Matches shorter than the first, than the second, and longer ones are told apart: long ones hold better."""
_EVIDENCE = 2.0
"""Guessed tokens that the experience a judgement begins with counts for."""
_UNKNOWN_RATE = 0.5
_LEAST_GAIN = 0.05
"""Relative gain below which a wider step is left alone: estimates are no better than that."""


class Guess(NamedTuple):
    """What may follow, and how many of the latest tokens it rests on."""

    tokens: tuple[int, ...]
    matched: int


class History:
    """The tokens of one sequence, in which its latest ones are looked for."""

    def __init__(self) -> None:
        self._tokens = np.empty(512, np.int32)
        self._count = 0

    def follow(self, tokens: list[int]) -> None:
        """Takes in what `tokens`, which only ever grow, have more than before."""
        count = len(tokens)
        if count > len(self._tokens):
            self._tokens = np.resize(self._tokens, max(count, 2 * len(self._tokens)))
        self._tokens[self._count : count] = tokens[self._count :]
        self._count = count

    def guess(self, most: int) -> Guess | None:
        """At most `most` tokens: those behind the longest match of the latest ones, the last such if there are several.

        Where the match is so near that its continuation runs into the end, that is read as a period and goes on.
        """
        end = self._count - 1
        if most < 1 or end < LEAST_MATCH:
            return None
        known = self._tokens[: end + 1]
        ends = np.flatnonzero(known[:end] == known[end])
        matched = 1
        while matched < _LONGEST_MATCH:
            far = ends[ends >= matched]
            longer = far[known[far - matched] == known[end - matched]]
            if not len(longer):
                break
            ends, matched = longer, matched + 1
        if matched < LEAST_MATCH:
            return None
        found = known[int(ends[-1]) + 1 :][:most]
        return Guess(tuple(np.resize(found, most).tolist()), matched)


class Judgement:
    """Which share of guessed tokens comes true, by the length of the match; old experience fades.

    A guess is taken for a row of tokens each of which holds with that share, if those before it did.
    """

    def __init__(self, before: Judgement | None = None, *, fading: float) -> None:
        """`before` is the experience it begins with and adds to; `fading` is what a new guess leaves of the old."""
        self._before = before
        self._fading = fading
        self._held = [0.0] * (len(_CLASSES) + 1)
        self._tried = [0.0] * (len(_CLASSES) + 1)

    def rate(self, matched: int) -> float:
        """The share for a match of that length, between 0 and 1."""
        kind = bisect_right(_CLASSES, matched)
        first = self._before.rate(matched) if self._before else _UNKNOWN_RATE
        return (self._held[kind] + _EVIDENCE * first) / (self._tried[kind] + _EVIDENCE)

    def note(self, matched: int, held: int, *, failed: bool) -> None:
        """Notes a guess of which `held` tokens came true, and whether it was the next one that `failed`."""
        kind = bisect_right(_CLASSES, matched)
        self._held[kind] = self._held[kind] * self._fading + held
        self._tried[kind] = self._tried[kind] * self._fading + held + failed
        if self._before:
            self._before.note(matched, held, failed=failed)


class Chance(NamedTuple):
    """What is to be had from guessing in one sequence."""

    rate: float
    """The share of guessed tokens that comes true."""
    most: int
    """Tokens that are guessed."""


def worthwhile(chances: Sequence[Chance], streams: int, cost: Callable[[int], float], room: int) -> list[int]:
    """How many guessed tokens of each sequence to compute in a step; none where that does not pay.

    `streams` is how many sequences the step gives tokens to, `cost` its seconds with so many guessed tokens in it, and
    `room` the most of these. What is made as large as possible is the product of the rates at which the sequences get
    their tokens: a gain of one is weighed against what the longer step takes from all.
    """
    counts, expected = [0] * len(chances), [1.0] * len(chances)
    best, best_gain = list(counts), math.log1p(_LEAST_GAIN)
    plain, gained = cost(0), 0.0
    for drafted in range(1, room + 1):
        more, index = 0.0, -1
        for position, (rate, most) in enumerate(chances):
            if counts[position] < most and (found := rate ** (counts[position] + 1) / expected[position]) > more:
                more, index = found, position
        if index < 0:
            break
        expected[index] *= 1 + more
        counts[index] += 1
        gained += math.log1p(more)
        gain = gained - streams * math.log(cost(drafted) / plain)
        if gain > best_gain:
            best, best_gain = list(counts), gain
    return best
