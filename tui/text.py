"""Text from outside (models, files, tools, other programs) made safe for a terminal, and numbers made readable."""

from __future__ import annotations

_CONTROL = {code: None for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if code not in (0x09, 0x0A)}
_BIDI = dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_SEPARATORS = {0x2028: "\n", 0x2029: "\n"}
_UNSAFE: dict[int, str | None] = {**_CONTROL, **_BIDI, **_SEPARATORS}


def clean(text: str) -> str:
    """`text` without control characters (C0, DEL, C1) and without marks that reorder what is read.

    Newlines and tabs stay. Each character is judged alone, so cleaning pieces and cleaning the whole agree.
    """
    return text.translate(_UNSAFE)


def one_line(text: str, limit: int = 200) -> str:
    """`text`, cleaned, on one line, and no longer than `limit` characters."""
    line = " ".join(clean(text[: limit * 8]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def size(count: int | None) -> str:
    """Bytes with a binary unit, three significant digits; `n/a` when unknown."""
    if count is None:
        return "n/a"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1000 or unit == "TiB":
            return (
                f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.{3 if value >= 1 else 2}g} {unit}"
            )
        value /= 1024
    raise AssertionError


def count(number: int | None) -> str:
    """A count in at most four characters and a letter: `950`, `1.2k`, `131k`; `n/a` when unknown."""
    if number is None:
        return "n/a"
    if number < 1000:
        return str(number)
    if number < 9950:
        return f"{number / 1000:.1f}k"
    return f"{number / 1000:.0f}k" if number < 999_500 else f"{number / 1e6:.1f}M"


def rate(tok_s: float | None) -> str:
    """Tokens per second, in at most six characters; `n/a` when unknown."""
    if tok_s is None:
        return "n/a"
    return f"{tok_s:.1f}" if tok_s < 1000 else f"{tok_s:.0f}"


def live_rate(tok_s: float | None) -> str:
    """Tokens per second while they are being counted: whole, so that it does not flicker."""
    return "n/a" if tok_s is None else f"{tok_s:.0f}"


def seconds(value: float | None) -> str:
    """A duration of seconds to two digits, or minutes and seconds; `n/a` when unknown."""
    if value is None:
        return "n/a"
    if value < 9.95:
        return f"{value:.2g} s" if value >= 0.1 else f"{value * 1000:.0f} ms"
    return f"{value:.0f} s" if value < 90 else f"{value // 60:.0f} min {value % 60:.0f} s"
