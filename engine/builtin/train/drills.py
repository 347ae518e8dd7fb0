"""Exercises in copying: a text to repeat, a value to find. They teach attention to look back, which tools need."""

from __future__ import annotations

import json
from random import Random

from engine.builtin.train.exchange import Call, Exchange, Tool
from engine.builtin.train.foreign_tools import made_up
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


def call_drill(rng: Random) -> tuple[list[Tool], Exchange]:
    """Tools without sense, and a question that names what one of them is for: the call copies its names."""
    tools, calls = [], []
    for _ in range(rng.choice((1, 2, 2, 3))):
        purpose = str(make("phrase", rng))
        parameters = {made_up(rng): rng.choice(_THINGS) for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3)))}
        arguments = {name: make(thing, rng) for name, thing in parameters.items()}
        kinds = {name: "string" if isinstance(value, str) else "number" for name, value in arguments.items()}
        schema = {"type": "object", "properties": {name: {"type": kind} for name, kind in kinds.items()}}
        tools.append({"name": made_up(rng), "description": purpose, "parameters": schema})
        calls.append(Call(tools[-1]["name"], arguments, {}))
    chosen = rng.randrange(len(tools))
    values = rng.choice((", ", " and ", "; ", " ")).join(map(str, calls[chosen].arguments.values()))
    return tools, Exchange(f"{tools[chosen]['description']} {values}".strip(), "", calls[chosen])
