"""Text as it is, up to a word that ends it, as grammars."""

from __future__ import annotations

from collections.abc import Mapping

from engine.text.grammar.rules import Rules
from engine.text.grammar.spelling import char_set, literal
from engine.text.stops import partial_suffix

_MOST = 4096
"""Rules that one text with a count of characters may take."""
_CONTROL = [(0, 8), (11, 31), (127, 127)]


class TooLong(Exception):
    """A text of so many characters would take too many rules."""


def text_without(rules: Rules, words: tuple[str, ...], low: int = 0, high: int | None = None) -> str:
    """The name of a rule for texts of `low` to `high` characters that have none of `words` inside.

    The words must have no beginning that is also an end of one of them: then the word that follows the text is the
    first one there is. Raises `TooLong`.
    """
    steps = _automaton(words)
    top = low if high is None else high
    if (top + 1) * len(steps) > _MOST:
        raise TooLong
    names = {(state, count): rules.reserve("text") for state in steps for count in range(top + 1)}
    for (state, count), name in names.items():
        if count == high:
            rules.define(name, '""')
            continue
        following = min(count + 1, top)
        body = _one_more(steps, state, {other: names[other, following] for other in steps})
        rules.define(name, f'{body} | ""' if count >= low else body)
    return names["", 0]


def text_rules(word: str) -> dict[str, str]:
    """Rules for texts without `word`, the first of which is named `raw`."""
    steps = _automaton((word,))
    names = {state: f"raw-{index}" if index else "raw" for index, state in enumerate(steps)}
    return {name: f'{_one_more(steps, state, names)} | ""' for state, name in names.items()}


def _automaton(words: tuple[str, ...]) -> dict[str, dict[str, str | None]]:
    """For each beginning of a word, the characters after which another one has come; `None` for a whole word."""
    states = {word[:size] for word in words for size in range(len(word))}
    chars = sorted({char for word in words for char in word})
    steps: dict[str, dict[str, str | None]] = {}
    for state in sorted(states):
        steps[state] = {}
        for char in chars:
            text = state + char
            if any(text.endswith(word) for word in words):
                steps[state][char] = None
            elif target := max((_longest(text, word) for word in words), key=len):
                steps[state][char] = target
    return steps


def _one_more(steps: Mapping[str, Mapping[str, str | None]], state: str, names: Mapping[str, str]) -> str:
    """One more character in that state, and the rule that follows it."""
    moves = steps[state]
    others = char_set([*_CONTROL, *((ord(char), ord(char)) for char in moves)], negated=True)
    parts = [f"{others} {names['']}"]
    parts += [f"{literal(char)} {names[target]}" for char, target in moves.items() if target is not None]
    return " | ".join(parts)


def _longest(text: str, word: str) -> str:
    return text[len(text) - partial_suffix(text, word) :]
