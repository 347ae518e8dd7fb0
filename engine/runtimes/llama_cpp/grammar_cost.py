"""What a GBNF grammar would cost llama.cpp, found out before it is given to it.

llama.cpp follows all ways through a grammar at once: a stack for each, every one of them compared with all others, and
for each character anew. It follows ways that come to the same place one by one, so that a few lines can take hours, in
which no other request of the model is served. Counting the ways takes no walk: the counts of a sequence follow from
those of its parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from engine.errors import BadInput
from engine.runtimes.llama_cpp.grammar_rules import TERMINAL, Rules, read_rules

MOST_WAYS = 16_000
"""Places at which the next character may be looked for. Ten thousand alternatives take a second to begin with."""
MOST_WORK = 250_000
"""Ways times the further ones that a character opens: about a fifth of a second for each token."""
DEEPEST = 10_000
"""Rules that begin with each other; llama.cpp looks into them by recursion."""
_CAP = 10**15


class _Count(NamedTuple):
    """Ways through a part of a grammar."""

    empty: int
    """Ways through it without a character."""
    ways: int
    """Places for its first character."""
    ends: int
    """Ways through it with one character."""
    further: int
    """Places for its second character, over all places of the first."""


_NOTHING = _Count(1, 0, 0, 0)
_ONE = _Count(0, 1, 1, 0)


@lru_cache(maxsize=64)
def check_cost(text: str) -> None:
    """Raises `BadInput` for a grammar that would take too long. One that cannot be read passes: llama.cpp says why."""
    rules = read_rules(text)
    if rules is None:
        return
    counts = [_Count(0, 0, 0, 0)] * len(rules)
    order = _inmost_first(rules)
    for _ in range(2):  # a second time, as what follows a first character may be any rule
        for number in order:
            whole = [_last(_from_the_end(body, counts)) for body in rules[number]]
            counts[number] = _Count(*(min(sum(each), _CAP) for each in zip(*whole, strict=True)))
    for number, rule in enumerate(rules):
        for count in (counts[number], *(part for body in rule for part in _from_the_end(body, counts))):
            if count.ways > MOST_WAYS or max(0, count.further - count.ways) * count.ways > MOST_WORK:
                raise BadInput(
                    "The grammar allows too many ways at once to be followed in time.",
                    meaning="Parts of it may be left out, or stand for the same text, in very many combinations.",
                    remedy="Write optional parts so that the next character decides which of them comes.",
                    param="grammar",
                )


def _from_the_end(body: Sequence[int], counts: Sequence[_Count]) -> Iterator[_Count]:
    """The counts of what is left of a sequence, from its last part on to all of it."""
    rest = _NOTHING
    yield rest
    for item in reversed(body):
        part = _ONE if item == TERMINAL else counts[item]
        rest = _Count(
            min(part.empty * rest.empty, _CAP),
            min(part.ways + part.empty * rest.ways, _CAP),
            min(part.ends * rest.empty + part.empty * rest.ends, _CAP),
            min(part.further + part.ends * rest.ways + part.empty * rest.further, _CAP),
        )
        yield rest


def _last(counts: Iterator[_Count]) -> _Count:
    *_, last = counts
    return last


def _inmost_first(rules: Rules) -> list[int]:
    """The rules, each behind those that it may begin with. Raises `BadInput` where that goes in a circle or too far."""
    nullable = _nullable(rules)
    # What may repeat itself at once is left to llama.cpp: "x*" of an x that may be empty is no fault.
    beginnings = [_beginnings(rule, nullable) - {number} for number, rule in enumerate(rules)]
    depth: dict[int, int] = {}
    order: list[int] = []
    under_way: set[int] = set()
    for start in range(len(rules)):
        path = [] if start in depth else [(start, iter(beginnings[start]))]
        while path:
            number, inner = path[-1]
            under_way.add(number)
            below = next((each for each in inner if each not in depth), None)
            if below is None:
                depth[number] = max((depth[each] for each in beginnings[number]), default=0) + 1
                order.append(number)
                path.pop()
            elif below in under_way:
                raise _nested("A rule of the grammar begins with itself.")
            else:
                path.append((below, iter(beginnings[below])))
    if max(depth.values(), default=0) > DEEPEST:
        raise _nested("The rules of the grammar are nested too deeply.")
    return order


def _beginnings(rule: Sequence[Sequence[int]], nullable: set[int]) -> set[int]:
    """The rules that a rule may begin with."""
    found = set()
    for body in rule:
        for item in body:
            if item != TERMINAL:
                found.add(item)
            if item not in nullable:
                break
    return found


def _nullable(rules: Rules) -> set[int]:
    """The rules through which there is a way without a character."""
    missing = {(number, place): len(body) for number, rule in enumerate(rules) for place, body in enumerate(rule)}
    users: dict[int, list[tuple[int, int]]] = {}
    for number, rule in enumerate(rules):
        for place, body in enumerate(rule):
            for item in body:
                users.setdefault(item, []).append((number, place))
    found: set[int] = set()
    fresh = [number for (number, _), length in missing.items() if not length]
    while fresh:
        number = fresh.pop()
        if number in found:
            continue
        found.add(number)
        for user in users.get(number, ()):
            missing[user] -= 1
            if not missing[user]:
                fresh.append(user[0])
    return found


def _nested(what: str) -> BadInput:
    return BadInput(what, remedy="It has to be GBNF without left recursion.", param="grammar")
