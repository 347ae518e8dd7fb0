"""Ranges of numbers as grammars: what is between two bounds, digit by digit."""

from __future__ import annotations

DIGITS = 16
"""Digits that an integer without a bound has at most."""


def integers(low: int | None, high: int | None) -> str:
    """Integers from `low` to `high`, both included; `None` is no bound. `low` must not be above `high`."""
    parts = []
    if low is None or low < 0:
        most = None if low is None else -low
        least = 1 if high is None or high >= 0 else -high
        if most is None or most >= least:
            parts.append(f'"-" ({magnitudes(least, most)})')
    if high is None or high >= 0:
        parts.append(magnitudes(max(low or 0, 0), high))
    return " | ".join(parts)


def numbers(low: int | None, high: int | None, *, above: bool = False, below: bool = False) -> str:
    """Decimal numbers between two integers; with `above` and `below` the bounds themselves are left out."""
    parts = []
    if low is None or low < 0:
        least = 0 if high is None else max(0, -high)
        # Zero is left to the half without a sign.
        parts.append(_decimals(least, None if low is None else -low, above=below or not least, below=above))
        parts = [f'"-" ({part})' for part in parts if part]
    if high is None or high > 0 or (high == 0 and not below):
        parts.append(_decimals(max(low or 0, 0), high, above=above and low is not None and low >= 0, below=below))
    return " | ".join(part for part in parts if part)


def magnitudes(low: int, high: int | None) -> str:
    """Integers of `low` or more, at most `high`, without sign or leading zeros."""
    if high is None:
        top = 10 ** max(DIGITS, len(str(low)))
        return magnitudes(low, top - 1)
    parts = []
    for size in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (size - 1) if size > 1 else 0)
        parts += _same_length(str(first), str(min(high, 10**size - 1)))
    return " | ".join(parts)


def _decimals(low: int, high: int | None, *, above: bool, below: bool) -> str:
    """Magnitudes with fractions; with `above`, more than `low`; with `below`, less than `high`."""
    some, positive = "fraction?", '"." ([0-9]{0,8} [1-9])'
    if high is not None and low == high:
        return "" if above or below else f'"{low}" ("." "0"{{1,4}})?'
    parts = [f'"{low}" {positive}' if above else f'"{low}" {some}']
    if high is None or high - 1 >= low + 1:
        parts.append(f"({magnitudes(low + 1, None if high is None else high - 1)}) {some}")
    if high is not None and not below:
        parts.append(f'"{high}" ("." "0"{{1,4}})?')
    return " | ".join(parts)


def _same_length(low: str, high: str) -> list[str]:
    """Alternatives for the numbers from `low` to `high`, which have the same number of digits."""
    if not low:
        return [""]
    if low == high:
        return [f'"{low}"']
    if low[0] == high[0]:
        return [f'"{low[0]}" ({" | ".join(_same_length(low[1:], high[1:]))})']
    rest = len(low) - 1
    if not rest:
        return [f"[{low}-{high}]"]
    first, last = int(low[0]), int(high[0])
    parts = []
    if int(low[1:]):
        parts.append(f'"{first}" ({" | ".join(_same_length(low[1:], "9" * rest))})')
        first += 1
    full = set(high[1:]) == {"9"}
    if first <= last - (not full):
        parts.append(f"[{first}-{last if full else last - 1}] [0-9]{{{rest}}}")
    if not full:
        parts.append(f'"{last}" ({" | ".join(_same_length("0" * rest, high[1:]))})')
    return parts
