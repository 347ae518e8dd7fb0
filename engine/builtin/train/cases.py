"""The questions of the examination: phrasings and values that training never showed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from engine.builtin.train import local_tools, refusals
from engine.builtin.train.conversations import Author
from engine.builtin.train.exchange import Call, Exchange, Message, Tool
from engine.builtin.train.facts import Fact
from engine.builtin.train.foreign_tools import foreign_tools

CONDITIONS = ("alone", "app", "second turn")
"""Nothing but the question; with the three tools that the app offers; the same in a second turn."""
_CALL = re.compile(r"<tool_call>\s*(\{.*\})\s*</tool_call>", re.S)


@dataclass(frozen=True)
class Case:
    """One question in one condition, and how its answer is judged."""

    kind: str
    condition: str
    messages: list[Message]
    tools: list[Tool]
    wanted: str
    """For the reader of failures."""
    right: Callable[[str], bool]


def calls(text: str) -> list[tuple[str, object]]:
    """The tool calls in what the model wrote, as names and arguments."""
    found = []
    for match in _CALL.finditer(text):
        try:
            call = json.loads(match[1])
        except json.JSONDecodeError:
            continue
        found.append((call.get("name"), call.get("arguments")))
    return found


def _calls_rightly(call: Call) -> Callable[[str], bool]:
    return lambda text: calls(text) == [(call.name, call.arguments)]


def _equals(answer: str) -> Callable[[str], bool]:
    return lambda text: text.strip() == answer


def _contains(part: str) -> Callable[[str], bool]:
    return lambda text: part in text


def _before(condition: str, author: Author, rng: Random) -> tuple[list[Message], list[Tool]]:
    if condition == "alone":
        return [], []
    return author.fact(rng).messages() if condition == "second turn" else [], local_tools.TOOLS


def of_facts(facts: list[Fact], author: Author, rng: Random) -> Iterator[Case]:
    """Every held-out phrasing of every fact without a system message and in the app; one of them in a second turn."""
    for fact in facts:
        for question in fact.held_out:
            conditions = CONDITIONS if question == fact.held_out[0] else CONDITIONS[:2]
            for condition in conditions:
                messages, tools = _before(condition, author, rng)
                asked = [*messages, {"role": "user", "content": question}]
                yield Case(fact.kind, condition, asked, tools, fact.answer[0], fact.satisfied)


def of_scope(count: int, author: Author, rng: Random) -> Iterator[Case]:
    """Questions that are to be refused."""
    for _ in range(count):
        exchange = refusals.ask(rng, held_out=True)
        for condition in CONDITIONS:
            messages, tools = _before(condition, author, rng)
            asked = [*messages, {"role": "user", "content": exchange.question}]
            yield Case("out of scope", condition, asked, tools, exchange.answer, _contains(refusals.MARK))


def of_tools(count: int, author: Author, rng: Random) -> Iterator[Case]:
    """Questions for Footplate's tools: the call, the answer from the result, and the screen without the tool."""
    for name in local_tools.NAMES:
        for index in range(count):
            condition = CONDITIONS[1 + index % 2]
            messages, tools = _before(condition, author, rng)
            exchange = local_tools.ask(name, rng, offered=True, held_out=True)
            yield from _call_and_answer(name, condition, messages, tools, exchange)
        for _ in range(count // 2):
            exchange = local_tools.ask(name, rng, offered=False, held_out=True)
            asked = [{"role": "user", "content": exchange.question}]
            yield Case("screens", "alone", asked, [], exchange.answer, _equals(exchange.answer))


def of_foreign_tools(count: int, author: Author, rng: Random) -> Iterator[Case]:
    """Questions for tools that other programs offer."""
    for index in range(count):
        offered = foreign_tools(1 + index % 3, rng)
        messages: list[Message] = [{"role": "system", "content": "You are a helpful assistant."}] if index % 2 else []
        tools = [tool.declaration(rng) for tool in offered]
        yield from _call_and_answer(
            "other tools", "own tools", messages, tools, rng.choice(offered).ask(rng, held_out=True)
        )


def _call_and_answer(
    kind: str, condition: str, messages: list[Message], tools: list[Tool], exchange: Exchange
) -> Iterator[Case]:
    turn, call = exchange.messages(), exchange.call
    if call is None:
        return
    wanted = f"{call.name} {call.arguments}"
    yield Case(f"{kind}: call", condition, [*messages, turn[0]], tools, wanted, _calls_rightly(call))
    yield Case(f"{kind}: answer", condition, [*messages, *turn[:3]], tools, exchange.answer, _equals(exchange.answer))


def examination(facts: list[Fact], seed: int, count: int) -> list[Case]:
    """All cases; `count` of each kind that is drawn at random."""
    rng, author = Random(seed), Author(facts)  # noqa: S311 - to be repeated, not to be secret
    return [
        *of_facts(facts, author, rng),
        *of_scope(count, author, rng),
        *of_tools(count, author, rng),
        *of_foreign_tools(count, author, rng),
    ]
