"""The rules of a GBNF grammar, as far as counting the ways through it needs them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.errors import BadInput

TERMINAL = -1
"""Stands for a character, whichever."""
Rules = Sequence[Sequence[Sequence[int]]]
"""Rules by number, each a list of alternatives: sequences of `TERMINAL` and numbers of rules."""
_MOST_TIMES = 2000
"""llama.cpp's own limit of repetitions."""
_TOKEN = re.compile(
    r"""
      (?P<space>\s+|\#[^\n]*) | (?P<rule>[\w-]+)\s*::= | (?P<name>[\w-]+)
    | (?P<literal>"[^"\\]*(?:\\.[^"\\]*)*") | (?P<one>\[[^\]\\]*(?:\\.[^\]\\]*)*\]|\.|!?<[^>\s]+>)
    | (?P<open>\() | (?P<close>\)) | (?P<alternative>\|)
    | (?P<times>[*+?]|\{\s*(?P<least>\d+)\s*(?P<range>,\s*(?P<most>\d+)?)?\s*\})
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x..|u....|U........|.)", re.DOTALL)


def read_rules(text: str) -> Rules | None:
    """The rules of a grammar; `None` where it is none. Raises `BadInput` for repetitions that are impossible."""
    reader = _Reader()
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or not reader.take(found):
            return None
        place = found.end()
    return reader.rules


class _Reader:
    """Takes one word after the other. Groups and repetitions become rules of their own."""

    def __init__(self) -> None:
        self.rules: list[list[list[int]]] = []
        self._numbers: dict[str, int] = {}
        self._open: list[tuple[int, int]] = []
        """Rules under way and where their last item begins."""

    def take(self, word: re.Match[str]) -> bool:
        """False for a word that cannot stand here."""
        if word["rule"] is not None:
            self._open = [(self._number(word["rule"]), 0)]
            return True
        if word["space"] is not None:
            return True
        if not self._open:
            return False
        if word["open"]:
            self.rules.append([[]])
            self._open.append((len(self.rules) - 1, 0))
        elif word["close"]:
            if len(self._open) < 2:
                return False
            self._add([self._open.pop()[0]])
        elif word["alternative"]:
            self.rules[self._open[-1][0]].append([])
            self._open[-1] = (self._open[-1][0], 0)
        elif word["times"]:
            return self._repeat(word)
        else:
            self._add(self._items(word))
        return True

    def _items(self, word: re.Match[str]) -> list[int]:
        if word["name"] is not None:
            return [self._number(word["name"])]
        if word["literal"] is None:
            return [TERMINAL]
        # The second character of a text stands for all others: there is but one way through them.
        return [TERMINAL] * min(2, len(_ESCAPE.sub("x", word["literal"][1:-1])))

    def _repeat(self, word: re.Match[str]) -> bool:
        number, begin = self._open[-1]
        body = self.rules[number][-1]
        item = body[begin:]
        if not item:  # an empty text, however often, is none; without anything before it llama.cpp complains
            return begin == len(body)
        least, most = _bounds(word)
        if most is not None and most < least:
            raise BadInput(
                f"The grammar wants something at least {least} and at most {most} times.",
                remedy="In {m,n} the second number is the larger one.",
                param="grammar",
            )
        if max(least, most or 0) > _MOST_TIMES:
            return False
        one = self._rule([item])
        rest = self._rule([[], [one]]) if most is None else None
        if rest is not None:
            self.rules[rest][1].append(rest)
        for _ in range((most or 0) - least):
            rest = self._rule([[], [one] if rest is None else [one, rest]])
        body[begin:] = [one] * least + ([] if rest is None else [rest])
        return True

    def _rule(self, alternatives: list[list[int]]) -> int:
        self.rules.append(alternatives)
        return len(self.rules) - 1

    def _add(self, items: list[int]) -> None:
        number, _ = self._open[-1]
        body = self.rules[number][-1]
        self._open[-1] = (number, len(body))
        body += items

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = self._rule([[]])
        return self._numbers[name]


def _bounds(word: re.Match[str]) -> tuple[int, int | None]:
    """How many times at least and at most; `None` is without end."""
    match word["times"]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
    least = int(word["least"])
    if word["range"] is None:
        return least, least
    return least, None if word["most"] is None else int(word["most"])
