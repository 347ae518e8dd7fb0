"""Whole conversations: a setting (system message, tools) and turns of every kind until the room is used."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from engine.builtin.train import local_tools, refusals
from engine.builtin.train.exchange import Exchange, Message, Tool
from engine.builtin.train.facts import Fact
from engine.builtin.train.foreign_tools import ForeignTool, foreign_tools
from engine.builtin.train.phrasing import DATA, vary
from engine.builtin.train.values import fill

_SYSTEMS: dict[str, Any] = tomllib.loads((DATA / "systems.toml").read_text(encoding="utf-8"))
APP_SYSTEM: str = _SYSTEMS["app"][0]
"""A system message such as an app gives."""

REFUSALS = 0.27
"""Share of the questions without a tool that are out of scope."""
WEIGHTS = {"talk": 2.5, "app": 1.3, "keys": 1.3}
"""How often facts of a kind are asked for, beside 1: short questions are harder to tell apart."""
LOCAL = {"get_hardware": 2, "list_models": 5, "search_models": 3}
"""How often Footplate's tools are asked for, beside one another."""
WILD = 0.4
"""The share of other programs' tools that bear made-up names."""
MISSES = 3
"""So many turns may turn out too long for the room that is left before a conversation ends."""


@dataclass(frozen=True)
class Setting:
    """What stands before the first question."""

    system: str | None
    local: tuple[str, ...] = ()
    """Names of Footplate's own tools that are offered."""
    foreign: tuple[ForeignTool, ...] = ()
    tools: list[Tool] = field(default_factory=list)

    def messages(self) -> list[Message]:
        """The system message, if there is one."""
        return [] if self.system is None else [{"role": "system", "content": self.system}]


def _system(rng: Random, *, long: bool, bare: float) -> str | None:
    if rng.random() < bare:
        return None
    dice = rng.uniform(0.4, 1.0)
    if dice < 0.65:
        return APP_SYSTEM
    if dice < 0.9 or not long:
        return rng.choice(_SYSTEMS["short"])
    rules = rng.sample(_SYSTEMS["long"]["rules"], rng.randrange(2, 14))
    return fill(rng.choice((" ", "\n", "\n- ")).join([rng.choice(_SYSTEMS["long"]["roles"]), *rules]), {}, rng)


def setting(rng: Random, *, tools: bool, bare: float = 0.4) -> Setting:
    """A random setting, a share `bare` without system message. Where tools may be offered, most settings offer some."""
    system = _system(rng, long=tools, bare=bare)
    dice = rng.random()
    if not tools or dice < 0.12:
        return Setting(system)
    local: list[str] = []
    foreign: list[ForeignTool] = []
    if dice < 0.52:
        local = list(local_tools.NAMES)
    elif dice < 0.72:
        local = rng.sample(local_tools.NAMES, rng.choice((1, 2, 2, 3)))
    if dice > 0.65:
        foreign = foreign_tools(rng.choice((1, 1, 2, 2, 3, 3, 4)), rng, WILD)
    declared = [tool for name in local for tool in local_tools.TOOLS if tool["name"] == name]
    declared += [tool.declaration(rng) for tool in foreign]
    if dice > 0.3:
        rng.shuffle(declared)
    return Setting(system, tuple(local), tuple(foreign), declared)


class Author:
    """Writes conversations from the facts and the tools."""

    def __init__(self, facts: list[Fact]) -> None:
        self._facts = facts
        self._weights = [WEIGHTS.get(fact.kind, 1.0) for fact in facts]

    def exchange(self, where: Setting, rng: Random) -> Exchange:
        """One question of any kind that may come up in this setting."""
        dice = rng.random()
        tool_share = 0.6 if where.foreign else 0.38 if where.tools else 0.1
        if dice < tool_share:
            if where.foreign and (not where.local or rng.random() < 0.5):
                return rng.choice(where.foreign).ask(rng)
            name = rng.choices(local_tools.NAMES, [LOCAL[name] for name in local_tools.NAMES])[0]
            return local_tools.ask(name, rng, offered=name in where.local)
        if dice < tool_share + (1 - tool_share) * REFUSALS:
            return refusals.ask(rng, tools=bool(where.foreign))
        return self.fact(rng)

    def fact(self, rng: Random) -> Exchange:
        """A question that one of the facts answers."""
        fact = rng.choices(self._facts, self._weights)[0]
        return Exchange(vary(rng.choice(fact.ask), rng), rng.choice(fact.answer))

    def conversation(
        self, room: int, measure: Callable[[list[Message], list[Tool]], int], rng: Random
    ) -> tuple[list[Message], list[Tool]]:
        """Turns until `room` tokens are used; `measure` counts tokens."""
        where = setting(rng, tools=room > 300)
        messages = where.messages()
        used, misses = measure(messages, where.tools), 0
        while misses < MISSES:
            turn = self.exchange(where, rng).messages(text_arguments=rng.random() < 0.2)
            size = measure(turn, [])
            if used + size > room:
                misses += 1
                continue
            used += size
            messages += turn
        return messages, where.tools
