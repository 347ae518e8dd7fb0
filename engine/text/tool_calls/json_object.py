"""Reads the JSON object of a tool call character by character, passing its arguments on as they come."""

from __future__ import annotations

import json

from msgspec import Struct

from engine.text.tool_calls.reading import Malformed

_SPACE = " \t\r\n"
_KEY, _VALUE = '"', ""


class Keys(Struct, frozen=True, kw_only=True):
    """How the keys in the object of a call are spelled."""

    name: tuple[str, ...] = ("name",)
    arguments: tuple[str, ...] = ("arguments", "parameters")
    identity: tuple[str, ...] = ()
    """Keys of an id that is worth keeping."""
    others: bool = True
    """Any further keys may be there, and are passed over."""

    def know(self, key: str) -> bool:
        """Whether an object with `key` can be a call."""
        return self.others or key in (*self.name, *self.arguments, *self.identity, "type", "id")


OPENAI = Keys()
"""The spelling that most models share."""


class JsonValue:
    """Finds where a JSON value ends, without judging what is inside."""

    def __init__(self, first: str) -> None:
        if first not in '"{[-0123456789tfn':
            raise Malformed
        self.bare = first not in '"{['
        self.container = first in "{["
        self.ended = False
        self._depth = int(self.container)
        self._string = first == '"'
        self._escape = False

    def push(self, char: str) -> str:
        """Takes the next character; `ended` is set by the value's last one (for a bare word: by the one after it).

        Gives the character as JSON has it: in strings models write line breaks and the like as they are.
        """
        raw = self._string and char < " "
        self._track(char)
        return json.dumps(char)[1:-1] if raw else char

    def _track(self, char: str) -> None:
        if self.bare:
            self.ended = not (char.isalnum() or char in "+-.")
        elif self._string:
            if self._escape:
                self._escape = False
            elif char == "\\":
                self._escape = True
            elif char == '"':
                self._string = False
                self.ended = not self.container
        elif char == '"':
            self._string = True
        elif char in "{[":
            self._depth += 1
        elif char in "}]":
            self._depth -= 1
            self.ended = self._depth == 0


class CallObject:
    """`{"name": …, "arguments": {…}}` in any order of keys, as a model writes it.

    Arguments written as a JSON string are unwrapped. Raises `Malformed` from `push` at the first character that cannot
    be right.
    """

    def __init__(self, keys: Keys = OPENAI) -> None:
        self._keys = keys
        self.name: str | None = None
        self.identity: str | None = None
        """The model's own id of the call."""
        self.ended = False
        self._ready: list[str] = []
        self._expect = "{"  # the characters that may come next; no character stands for any value
        self._key = ""
        self._text: list[str] = []
        self._value: JsonValue | None = None
        self._streams = self._had_arguments = False

    def take_arguments(self) -> str:
        """Text of the arguments that has come since the last call; nothing before the name is known."""
        if self.name is None:
            return ""
        text = "".join(self._ready)
        self._ready.clear()
        return text

    def push(self, char: str) -> None:
        """Takes the next character of the object."""
        if self._value is not None:
            self._continue(self._value, char)
        elif char in _SPACE:
            return
        elif self._expect in (_KEY, _VALUE) and (char == _KEY or self._expect == _VALUE):
            self._begin(char)
        elif char not in self._expect:
            raise Malformed
        else:
            self._punctuate(char)

    def _begin(self, char: str) -> None:
        self._value = JsonValue(char)
        self._text = [char]
        self._streams = (
            self._expect == _VALUE
            and self._value.container
            and self._key in self._keys.arguments
            and not self._had_arguments
        )
        if self._streams:
            self._had_arguments = True
            self._ready.append(char)

    def _continue(self, value: JsonValue, char: str) -> None:
        written = value.push(char)
        if self._streams:
            self._ready.append(written)
        elif not (value.ended and value.bare):
            self._text.append(char)
        if value.ended:
            self._value = None
            self._settle()
            if value.bare:
                self.push(char)

    def _settle(self) -> None:
        if self._expect == _KEY:
            self._key, self._expect = self._string(), ":"
            if not self._keys.know(self._key):
                raise Malformed
            return
        self._expect = ",}"
        if self._streams:
            return
        if self._key in self._keys.name and self.name is None:
            self.name = self._string()
            if not self.name:
                raise Malformed
        elif self._key in self._keys.identity and self.identity is None:
            self.identity = self._string()
        elif self._key in self._keys.arguments and not self._had_arguments:
            self._had_arguments = True
            self._ready.append(self._unwrapped())

    def _punctuate(self, char: str) -> None:
        if char == "}":
            if self.name is None:
                raise Malformed
            self.ended = True
            if not self._had_arguments:
                self._ready.append("{}")
        else:
            self._expect = {"{": _KEY, ",": _KEY, ":": _VALUE}[char]

    def _string(self) -> str:
        try:
            text = json.loads("".join(self._text))
        except (ValueError, RecursionError) as error:
            raise Malformed from error
        if not isinstance(text, str):
            raise Malformed
        return _sendable(text)

    def _unwrapped(self) -> str:
        text = "".join(self._text)
        if text == "null":
            return "{}"
        try:
            inner = json.loads(text, strict=False)
        except (ValueError, RecursionError) as error:
            raise Malformed from error
        return _sendable(inner) if isinstance(inner, str) else text


def _sendable(text: str) -> str:
    """`text` without halves of surrogate pairs, which JSON can spell and UTF-8 cannot carry."""
    return text.encode("utf-8", "replace").decode()
