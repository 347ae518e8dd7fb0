"""Random names, numbers and phrases: what questions ask about and what tools return. Their variety teaches copying."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Callable
from random import Random

from engine.builtin.train.phrasing import DATA

Value = str | int | float
_LISTS: dict[str, list[str]] = tomllib.loads((DATA / "values.toml").read_text(encoding="utf-8"))
QUANTIZATIONS = _LISTS["quantizations"]
RUNTIMES = _LISTS["runtimes"]


def pick(name: str, rng: Random) -> str:
    """An entry of a list of `values.toml`."""
    return rng.choice(_LISTS[name])


def word(rng: Random) -> str:
    """A word that no dictionary has, or now and then one that it has."""
    if rng.random() < 0.15:
        return pick("nouns", rng)
    return "".join(
        pick("onsets", rng) + pick("vowels", rng) + pick("codas", rng) for _ in range(rng.choice((1, 2, 2, 2, 3)))
    )


def number(rng: Random) -> int:
    """A whole number of one to six digits."""
    return rng.randrange(10 ** rng.choice((1, 2, 2, 3, 4, 5, 6)))


def decimal(rng: Random) -> float:
    """A number with one place after the point."""
    return round(rng.uniform(0.1, rng.choice((8, 32, 64, 128, 999))), 1)


def size(rng: Random) -> str:
    """The size of a file, as the app writes it."""
    return f"{decimal(rng)} {rng.choice(('MB', 'GB', 'GB'))}"


def _cased(text: str, rng: Random) -> str:
    return rng.choice(
        (text, text.lower(), text.capitalize(), text.capitalize(), text.upper() if len(text) < 5 else text)
    )


def model_name(rng: Random, joints: tuple[str, ...] = ("-", "-", "-", " ", "_")) -> str:
    """The name of a model: a family, known or invented, and often a version, a size and a variant."""
    family = pick("families", rng) if rng.random() < 0.45 else _cased(word(rng), rng)
    if rng.random() < 0.35:
        family += rng.choice(("", "", "-", " ")).replace(" ", joints[-1] if " " in joints else "") + rng.choice(
            (str(rng.randrange(1, 10)), f"{rng.randrange(1, 5)}.{rng.randrange(10)}", f"v{rng.randrange(1, 4)}")
        )
    parts = [family]
    if rng.random() < 0.6:
        parts.append(
            rng.choice((str(rng.randrange(1, 410)), f"{rng.randrange(10)}.{rng.randrange(1, 10)}"))
            + rng.choice("bbBBBm")
        )
    if rng.random() < 0.35:
        parts.append(pick("variants", rng))
    return rng.choice(joints).join(parts)


def local_model(rng: Random) -> str:
    """A model's name as the catalog has it: no spaces."""
    name = model_name(rng, ("-", "-", "_", "."))
    if rng.random() < 0.25:
        name += "-" + rng.choice(QUANTIZATIONS)
    return "guide" if rng.random() < 0.12 else name


def repository(rng: Random, query: str) -> str:
    """A repository on the Hub that could answer `query`."""
    owner = pick("owners", rng) if rng.random() < 0.5 else _cased(word(rng), rng)
    name = query.replace(" ", "-") if rng.random() < 0.5 else model_name(rng, ("-",))
    return f"{owner}/{name}" + rng.choice(("", "-GGUF", "-GGUF", "-gguf", "-MLX", "-int4-ov"))


def path(rng: Random) -> str:
    """A file's path."""
    folders = [rng.choice((word(rng), pick("folders", rng))) for _ in range(rng.choice((0, 1, 1, 2)))]
    return rng.choice(("", "", "./", "/")) + "/".join([*folders, f"{word(rng)}{pick('suffixes', rng)}"])


def name(rng: Random) -> str:
    """A person's or a thing's name."""
    return rng.choice((pick("people", rng), word(rng).capitalize()))


def expression(rng: Random) -> str:
    """A sum to work out."""
    terms = [str(number(rng)) for _ in range(rng.choice((2, 2, 3)))]
    return rng.choice((" + ", " * ", " - ", " / ", "+", "*")).join(terms)


def phrase(rng: Random) -> str:
    """Two to four words that need not make sense."""
    return " ".join(
        rng.choice((word(rng), pick("nouns", rng), pick("nouns", rng))) for _ in range(rng.choice((2, 2, 3, 4)))
    )


MAKERS: dict[str, Callable[[Random], Value]] = {
    "word": word,
    "n": lambda rng: rng.randrange(100),
    "d": lambda rng: rng.randrange(1, 10),
    "number": number,
    "decimal": decimal,
    "path": path,
    "name": name,
    "expression": expression,
    "phrase": phrase,
    "city": lambda rng: pick("cities", rng) if rng.random() < 0.6 else word(rng).capitalize(),
    "model": model_name,
    "clock": lambda rng: f"{rng.randrange(24):02}:{rng.randrange(60):02}",
    "symbol": lambda rng: "".join(rng.choice(string.ascii_uppercase) for _ in range(rng.choice((3, 4)))),
}


def make(slot: str, rng: Random) -> Value:
    """A value for a slot, by its name: one of `MAKERS`, or a list of `values.toml`."""
    maker = MAKERS.get(slot.rstrip("0123456789"))
    return maker(rng) if maker else pick(slot.rstrip("0123456789"), rng)


_SLOT = re.compile(r"\{(\w+)\}")


def fill(template: str, values: dict[str, Value], rng: Random, lists: dict[str, list[str]] | None = None) -> str:
    """The template with its `{slots}` filled: from `values`, else from `lists`, else newly made; `values` grows."""

    def value(match: re.Match[str]) -> str:
        slot = match[1]
        if slot not in values:
            choices = (lists or {}).get(slot.rstrip("0123456789"))
            values[slot] = rng.choice(choices) if choices else make(slot, rng)
        return str(values[slot])

    return _SLOT.sub(value, template)
