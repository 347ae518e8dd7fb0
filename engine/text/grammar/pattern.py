"""Regular expressions as grammars: the part of ECMA-262 that schemas use, as what stands between a text's quotes."""

from __future__ import annotations

from engine.text.grammar.rules import Rules, repeat
from engine.text.grammar.spelling import Ranges, Spelling, char_set, literal

_CLASSES = {"d": [(48, 57)], "w": [(48, 57), (65, 90), (95, 95), (97, 122)], "s": [(32, 32)]}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_MOST = 2000
_DEEPEST = 32


class UnknownPattern(Exception):
    """A construct that is not understood; the text says which."""


def pattern_grammar(rules: Rules, pattern: str, spelling: Spelling) -> str:
    """A body for the strings that contain a match of `pattern`, without their quotes. Raises `UnknownPattern`."""
    return _Reader(rules, pattern, spelling).whole()


class _Reader:
    """Recursive descent over one pattern."""

    def __init__(self, rules: Rules, pattern: str, spelling: Spelling) -> None:
        self._rules = rules
        self._spelling = spelling
        self._any = f"{spelling.plain}*"
        self._text = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> str:
        """Alternatives, each with anchors of its own: without one, anything may come before or after."""
        parts = []
        while True:
            before = "" if self._took("^") else self._any
            body = self._sequence()
            after = "" if self._took("$") else self._any
            parts.append(f"{before} {body} {after}".strip() or '""')
            if not self._took("|"):
                break
        if self._at < len(self._text):
            raise UnknownPattern(f"{self._text[self._at]!r} at character {self._at} has no meaning there")
        return " | ".join(parts)

    def _sequence(self) -> str:
        parts = []
        while self._at < len(self._text) and self._text[self._at] not in "|)$":
            parts.append(self._quantified())
        return " ".join(part for part in parts if part)

    def _quantified(self) -> str:
        item = self._item()
        low, high = self._quantifier()
        if (low, high) == (1, 1):
            return item
        self._took("?")
        name = self._rules.add("pattern", item)
        return repeat(self._rules, name, low, high)

    def _quantifier(self) -> tuple[int, int | None]:
        if self._took("*"):
            return 0, None
        if self._took("+"):
            return 1, None
        if self._took("?"):
            return 0, 1
        if not self._took("{"):
            return 1, 1
        inside = self._until("}")
        low, comma, high = inside.partition(",")
        if not low.isdigit() or (high and not high.isdigit()):
            raise UnknownPattern(f"the repetition {{{inside}}} is none")
        least = int(low)
        most = (int(high) if high else None) if comma else least
        if least > _MOST or (most is not None and (most > _MOST or most < least)):
            raise UnknownPattern(f"the repetition {{{inside}}} is out of bounds (at most {_MOST})")
        return least, most

    def _item(self) -> str:
        char = self._next()
        match char:
            case "(":
                return self._group()
            case "[":
                return self._set()
            case ".":
                return self._spelling.plain
            case "\\":
                return self._escape()
            case "^" | "*" | "+" | "?" | "{":
                raise UnknownPattern(f"{char!r} at character {self._at - 1} has no meaning there")
        return self._literal(char)

    def _group(self) -> str:
        if self._took("?") and not self._took(":"):
            raise UnknownPattern("look-around and named groups are not understood")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnknownPattern(f"groups are nested more than {_DEEPEST} deep")
        parts = [self._sequence()]
        while self._took("|"):
            parts.append(self._sequence())
        if not self._took(")"):
            raise UnknownPattern("a group does not end, or has an anchor inside")
        self._depth -= 1
        return f"({' | '.join(part or chr(34) * 2 for part in parts)})"

    def _escape(self) -> str:
        char = self._next()
        if char.lower() in _CLASSES:
            return _set_of(_CLASSES[char.lower()], self._spelling, negated=char.isupper())
        return self._literal(self._character(char))

    def _literal(self, char: str) -> str:
        written = self._spelling.of(char)
        if written is None:
            raise UnknownPattern(f"{char!r} cannot be written in such a text")
        return literal(written)

    def _character(self, char: str) -> str:
        """The character that an escape stands for."""
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char in "xu":
            size = 2 if char == "x" else 4
            digits = self._text[self._at : self._at + size]
            self._at += size
            try:
                code = int(digits, 16)
            except ValueError as error:
                raise UnknownPattern(f"\\{char}{digits} is no character") from error
            if len(digits) < size or 0xD800 <= code < 0xE000:
                raise UnknownPattern(f"\\{char}{digits} is no character")
            return chr(code)
        if char.isalnum():
            raise UnknownPattern(f"\\{char} is not understood")
        return char

    def _set(self) -> str:
        negated = self._took("^")
        ranges: Ranges = []
        while not self._took("]"):
            low = self._member(ranges)
            if low is None:
                continue
            high: str | None = low
            if self._text[self._at : self._at + 1] == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                high = self._member(ranges)
            if high is None or high < low:
                raise UnknownPattern("a range in brackets ends before it begins")
            ranges.append((ord(low), ord(high)))
        return _set_of(ranges, self._spelling, negated=negated)

    def _member(self, ranges: Ranges) -> str | None:
        char = self._next()
        if char != "\\":
            return char
        char = self._next()
        if char in _CLASSES:
            ranges += _CLASSES[char]
            return None
        if char.lower() in _CLASSES:
            raise UnknownPattern(f"\\{char} in brackets is not understood")
        return "\b" if char == "b" else self._character(char)

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise UnknownPattern("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _took(self, char: str) -> bool:
        taken = self._text.startswith(char, self._at)
        self._at += taken
        return taken

    def _until(self, char: str) -> str:
        end = self._text.find(char, self._at)
        if end < 0:
            raise UnknownPattern("it ends too early")
        inside, self._at = self._text[self._at : end], end + 1
        return inside


def _set_of(ranges: Ranges, spelling: Spelling, *, negated: bool) -> str:
    """A character of the set as it is written: quotes and backslashes of a set as escapes, say."""
    if negated:
        return char_set([*ranges, *spelling.forbidden], negated=True)
    escapes = spelling.escapes
    escaped = [literal(escapes[char]) for char in escapes if any(low <= ord(char) <= high for low, high in ranges)]
    plain = [piece for span in ranges for piece in _without(span, spelling.forbidden)]
    parts = ([char_set(plain)] if plain else []) + escaped
    if not parts:
        raise UnknownPattern("a set of characters has none that can be written")
    return parts[0] if len(parts) == 1 else f"({' | '.join(parts)})"


def _without(span: tuple[int, int], forbidden: Ranges) -> Ranges:
    pieces = [span]
    for start, end in forbidden:
        pieces = [
            part
            for low, high in pieces
            for part in ((low, min(high, start - 1)), (max(low, end + 1), high))
            if part[0] <= part[1]
        ]
    return pieces
