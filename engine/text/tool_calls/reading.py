"""Reads text that is still coming: grammars are generators that wait where the answer has not come yet.

A grammar says in straight lines what a call looks like (`yield from source.expect("<function=")`), and is driven by
`engine.text.tool_calls.parser`. What it decides depends on the text alone, never on how the text was cut.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from engine.text.stops import partial_suffix

_T = TypeVar("_T")
Reading = Generator[None, None, _T]
"""A reader that yields when it has to wait for more text, and returns what it read."""

_NAME = 256


class Malformed(Exception):
    """The text is not what was expected."""


class Cut(Exception):
    """The answer ended in the middle."""


def name_fits(name: str) -> bool:
    """Whether `name` can be that of a tool, or of an argument, where it stands among markup."""
    known = name == name.strip() and 0 < len(name) <= _NAME
    return known and not any(char in '"<>{}()' or not char.isprintable() for char in name)


class Source:
    """The answer, as far as it has come: what was read since the last `commit`, and what is still to be read."""

    def __init__(self) -> None:
        self._text = ""
        self._place = 0
        self.over = False
        """No more text comes."""

    @property
    def rest(self) -> str:
        """What has not been read yet."""
        return self._text[self._place :]

    def add(self, text: str) -> None:
        """Takes more of the answer."""
        self._text += text

    def skip(self, count: int) -> None:
        """Reads `count` characters that are there; a negative number takes back what was just read."""
        self._place += count

    def commit(self) -> None:
        """What was read will not be asked for again."""
        self._text, self._place = self._text[self._place :], 0

    def rewind(self) -> None:
        """Goes back to where the last `commit` was."""
        self._place = 0

    def more(self) -> Reading[None]:
        """Waits for more text. Raises `Cut` when none comes."""
        if self.over:
            raise Cut
        yield

    def peek(self) -> Reading[str]:
        """The next character, which stays unread."""
        while self._place == len(self._text):
            yield from self.more()
        return self._text[self._place]

    def expect(self, *words: str) -> Reading[str]:
        """Reads one of `words`. Raises `Malformed` when something else is there."""
        found = yield from self.accept(*words)
        if not found:
            raise Cut if self.over and any(word.startswith(self.rest) for word in words) else Malformed
        return found

    def accept(self, *words: str) -> Reading[str]:
        """Reads the longest of `words` that is there; empty, and nothing is read, when none is."""
        while not self.over:
            rest = self._text[self._place : self._place + max(map(len, words), default=0)]
            if not any(len(rest) < len(word) and word.startswith(rest) for word in words):
                break
            yield
        found = max((word for word in words if self._text.startswith(word, self._place)), key=len, default="")
        self._place += len(found)
        return found

    def at(self, word: str) -> Reading[bool]:
        """Whether `word` comes next; nothing is read."""
        found = yield from self.accept(word)
        self._place -= len(found)
        return bool(found)

    def space(self) -> Reading[None]:
        """Reads white space, as far as there is any."""
        while True:
            while self._place < len(self._text):
                if not self._text[self._place].isspace():
                    return
                self._place += 1
            if self.over:
                return
            yield

    def until(self, *words: str, limit: int | None = None) -> Reading[tuple[str, str]]:
        """Reads up to the first of `words` and over it: the text before, and the word. Nothing is read before that.

        Raises `Malformed` when there are more than `limit` characters before.
        """
        seen = 0
        while True:
            found = self._first(words, seen)
            size = found[0] if found else len(self._text) - self._place - max(map(len, words)) + 1
            if limit is not None and size > limit:
                raise Malformed
            if found:
                text = self._text[self._place : self._place + size]
                self._place += size + len(found[1])
                return text, found[1]
            seen = max(size, 0)
            yield from self.more()

    def named(self, *ends: str) -> Reading[tuple[str, str]]:
        """Reads a name, and over the one of `ends` that follows it. Raises `Malformed` when it is none."""
        name, end = yield from self.until(*ends, limit=_NAME)
        name = name.strip()
        if not name_fits(name):
            raise Malformed
        return name, end

    def name(self, *ends: str) -> Reading[str]:
        """Reads a name, likewise."""
        name, _ = yield from self.named(*ends)
        return name

    def flow(self, write: Callable[[str], object], *words: str) -> Reading[str]:
        """Passes text to `write` as it comes, up to the first of `words`, which is read and returned.

        No word may stand inside of another but at its end.
        """
        while True:
            found = self._first(words, 0)
            rest = self.rest
            size = found[0] if found else len(rest) - max(partial_suffix(rest, word) for word in words)
            if size:
                self._place += size
                write(rest[:size])
            if found:
                self._place += len(found[1])
                return found[1]
            yield from self.more()

    def _first(self, words: tuple[str, ...], start: int) -> tuple[int, str] | None:
        """Where the first of `words` begins, counted from what is unread; of two at one place the longer one."""
        places = ((self._text.find(word, self._place + start) - self._place, -len(word), word) for word in words)
        found = min((place for place in places if place[0] >= 0), default=None)
        return (found[0], found[2]) if found else None
