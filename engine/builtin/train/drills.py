"""Exercises in copying: a text to repeat, a value to find. They teach attention to look back, which tools need."""

from __future__ import annotations

import json
from random import Random

from engine.builtin.train.exchange import Exchange
from engine.builtin.train.values import make, word

_THINGS = ("word", "word", "model", "number", "decimal", "path", "name", "phrase", "symbol", "clock")
_REPEAT = ("repeat: ", "say after me: ", "copy this: ", "echo ")


def drill(rng: Random) -> Exchange:
    """One exercise."""
    if rng.random() < 0.6:
        text = rng.choice((" ", ", ", "; ", "\n")).join(
            str(make(rng.choice(_THINGS), rng)) for _ in range(rng.randrange(1, 9))
        )
        return Exchange(rng.choice(_REPEAT) + text, text)
    pairs = {word(rng): make(rng.choice(_THINGS), rng) for _ in range(rng.randrange(2, 7))}
    key = rng.choice(list(pairs))
    return Exchange(f"{json.dumps(pairs)}\n{key}?", f"{key}: {pairs[key]}")
