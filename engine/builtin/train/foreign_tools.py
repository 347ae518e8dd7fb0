"""Tools that other programs offer, under random names, and the questions they answer."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from random import Random
from typing import Any

from engine.builtin.train.exchange import Call, Exchange, Tool
from engine.builtin.train.phrasing import DATA, vary
from engine.builtin.train.values import Value, fill, make, number, word

_FAMILIES: list[dict[str, Any]] = tomllib.loads((DATA / "foreign.toml").read_text(encoding="utf-8"))["family"]
_LETTERS = "abc"


@dataclass(frozen=True)
class ForeignTool:
    """One tool of a family: a name and parameter names were chosen, invented words are settled."""

    family: dict[str, Any]
    name: str
    description: str
    parameters: tuple[str, ...]
    words: dict[str, Value]

    def ask(self, rng: Random, *, held_out: bool = False) -> Exchange:
        """A question that this tool answers."""
        template = rng.choice(self.family["held_out"]) if held_out else vary(rng.choice(self.family["ask"]), rng)
        values = [make(slot, rng) for slot in self.family["fill"]]
        scope: dict[str, Value] = dict(self.words) | dict(zip(_LETTERS, values, strict=False))
        question = fill(template, scope, rng)
        result = {key: _typed(fill(slot, {}, rng), slot) for key, slot in self.family["result"].items()}
        answer = fill(self.family["answer"], scope | result, rng)
        arguments = dict(zip(self.parameters, values, strict=True))
        return Exchange(question, answer, Call(self.name, arguments, result))

    def declaration(self, rng: Random) -> Tool:
        """The tool as a client declares it, in one of the shapes that clients use."""
        kinds = ["string" if slot not in ("number", "n") else "number" for slot in self.family["fill"]]
        properties: dict[str, Any] = {}
        for parameter, kind in zip(self.parameters, kinds, strict=True):
            properties[parameter] = {"type": kind}
            if rng.random() < 0.5:
                properties[parameter]["description"] = rng.choice(
                    (f"The {parameter}.", f"{parameter}", f"Which {parameter} to use", self.description)
                )
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if properties and rng.random() < 0.8:
            schema["required"] = list(self.parameters)
        if rng.random() < 0.1:
            schema["additionalProperties"] = False
        if rng.random() < 0.3:
            schema = dict(sorted(schema.items()))
        tool: Tool = {"name": self.name}
        if rng.random() < 0.93:
            tool["description"] = self.description
        if properties or rng.random() < 0.8:
            tool["parameters"] = schema
        return tool


def _typed(text: str, slot: str) -> Value:
    if slot in ("{n}", "{d}", "{number}"):
        return int(text)
    return float(text) if slot == "{decimal}" else text


def foreign_tools(count: int, rng: Random, wild: float = 0.0) -> list[ForeignTool]:
    """Some tools, each of another family; a share `wild` of the names is made up, so that they must be read."""
    return [_instance(family, rng, wild) for family in rng.sample(_FAMILIES, min(count, len(_FAMILIES)))]


def made_up(rng: Random) -> str:
    """A name for a tool or a parameter that nobody has seen."""
    parts = [word(rng) for _ in range(rng.choice((1, 2, 2, 3)))]
    return parts[0] + "".join(map(str.capitalize, parts[1:])) if rng.random() < 0.2 else "_".join(parts)


def _instance(family: dict[str, Any], rng: Random, wild: float) -> ForeignTool:
    words: dict[str, Value] = {}
    name = fill(rng.choice(family["names"]), words, rng)
    description = fill(rng.choice(family["descriptions"]), words, rng)
    names: list[str] = []
    for choices in family["slots"]:
        chosen = fill(rng.choice(choices), words, rng)
        names.append(chosen if chosen not in names else f"{chosen}_{len(names)}")
    if rng.random() < 0.08:
        name = f"{word(rng)}_{name}" if rng.random() < 0.7 else f"{name}{number(rng)}"
    if wild and rng.random() < wild:
        name = rng.choice((made_up(rng), f"{word(rng)}_{name}", f"{name}_{word(rng)}"))
    if wild and rng.random() < wild:
        names = [made_up(rng) if rng.random() < 0.7 else f"{given}_{word(rng)}" for given in names]
    return ForeignTool(family, name, description, tuple(names), words)
