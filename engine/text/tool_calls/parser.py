"""Drives grammars over an answer: finds where calls begin, and gives back as text what is none."""

from __future__ import annotations

from collections.abc import Callable

from engine.text.stops import partial_suffix
from engine.text.tool_calls.calls import Calls, Piece
from engine.text.tool_calls.reading import Cut, Malformed, Reading, Source

Grammar = Callable[[Source, Calls, str], Reading[None]]
"""Reads what follows the opening word, which is its third argument, and tells the calls in it."""


class BlockParser:
    """For syntaxes in which a word, such as `<tool_call>`, begins a block of one or several calls.

    Text before, between and after blocks is kept; white space that touches one is dropped. A call is told as soon as
    its name is known, and its arguments as they come. What turns out to be no call before its name was told is given
    as the text it was written as. `bare` openings count at the beginning of the answer alone.
    """

    def __init__(
        self, grammar: Grammar, openings: tuple[str, ...], new_id: Callable[[], str], *, bare: tuple[str, ...] = ()
    ) -> None:
        self._grammar = grammar
        self._openings = openings
        self._bare = bare
        self._source = Source()
        self._calls = Calls(self._source, new_id)
        self._block: Reading[None] | None = None
        self._counted = 0
        self._opening = ""
        self._touching: bool = False
        self._began = False

    def feed(self, text: str) -> list[Piece]:
        """Text and pieces of calls that are certain now."""
        self._source.add(text)
        return self._read()

    def close(self) -> list[Piece]:
        """The rest: a call that was told stays as far as it came, anything else is text."""
        self._source.over = True
        return self._read()

    def _read(self) -> list[Piece]:
        while self._read_text() if self._block is None else self._read_block(self._block):
            pass
        return self._calls.take()

    def _read_text(self) -> bool:
        """Passes text on up to the next opening; whether one was found."""
        pending = self._source.rest
        if self._touching:
            pending = pending.lstrip()
        start, opening = self._find(pending)
        hold = 0 if opening or self._source.over else self._held(pending)
        text = pending[:start] if opening else pending[: len(pending) - hold]
        kept = text if self._source.over and not opening else text.rstrip()
        if kept:
            self._calls.say(kept)
            self._touching, self._began = False, True
        self._source.skip(len(self._source.rest) - len(pending) + len(kept))
        self._source.commit()
        if not opening:
            return False
        self._source.skip(len(text) - len(kept) + len(opening))
        self._opening = text[len(kept) :] + opening
        self._counted = self._calls.count
        self._block = self._grammar(self._source, self._calls, opening)
        return True

    def _read_block(self, block: Reading[None]) -> bool:
        """Goes on with the grammar; whether it ended."""
        try:
            next(block)
        except StopIteration:
            self._end()
        except Cut:
            if self._calls.open:  # what is left is the beginning of a word that would have ended the value
                self._source.skip(len(self._source.rest))
            self._give_up()
        except Malformed:
            self._give_up()
        else:
            if self._calls.open:
                self._source.commit()
            return False
        self._block = None
        self._began = True
        return True

    def _end(self) -> None:
        if self._calls.count == self._counted:
            self._give_up()
            return
        self._source.commit()
        self._touching = True

    def _give_up(self) -> None:
        """What was told stays; what looked like a call is text: its opening is passed on, the rest is read again."""
        if self._calls.count > self._counted:
            if self._calls.open:
                self._calls.end()
            self._source.rewind()
            self._touching = True
            return
        self._source.rewind()
        self._calls.say(self._opening)
        self._source.skip(len(self._opening))
        self._source.commit()
        self._touching = False

    def _find(self, text: str) -> tuple[int, str]:
        """Where the first opening is, and which."""
        found = [(text.find(word), -len(word), word) for word in self._openings if word in text]
        if not self._began:
            first = text.lstrip()
            found += [(len(text) - len(first), -len(word), word) for word in self._bare if first.startswith(word)]
        if not found:
            return 0, ""
        start, _, word = min(found)
        return start, word

    def _held(self, text: str) -> int:
        """How many characters at the end of `text` may still become an opening."""
        held = max((partial_suffix(text, word) for word in self._openings), default=0)
        first = text.lstrip()
        if not self._began and any(word.startswith(first) for word in self._bare):
            return max(held, len(first))
        return held


class WholeParser:
    """For syntaxes that lay out the whole answer, with reasoning and text in blocks of their own."""

    def __init__(self, grammar: Callable[[Source, Calls], Reading[None]], new_id: Callable[[], str]) -> None:
        self._source = Source()
        self._calls = Calls(self._source, new_id)
        self._reading: Reading[None] | None = grammar(self._source, self._calls)

    def feed(self, text: str) -> list[Piece]:
        """What is certain now. When the grammar has ended, or met what it does not know, the rest is text."""
        self._source.add(text)
        try:
            if self._reading is not None:
                next(self._reading)
                return self._calls.take()
        except StopIteration:
            self._reading = None
        except (Malformed, Cut):
            self._reading = None
            self._source.rewind()
        self._calls.say(self._source.rest)
        self._source.skip(len(self._source.rest))
        self._source.commit()
        return self._calls.take()

    def close(self) -> list[Piece]:
        """The rest."""
        self._source.over = True
        return self.feed("")
