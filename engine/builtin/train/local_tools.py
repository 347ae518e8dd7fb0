"""Questions about this machine, its models and the Hub: answered with Footplate's tools, or by naming the screen."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from random import Random
from typing import Any

from engine.builtin.train import catalog, hardware
from engine.builtin.train.exchange import Call, Exchange, Tool
from engine.builtin.train.phrasing import DATA, vary
from engine.builtin.train.values import local_model, model_name

TOOLS: list[Tool] = json.loads((Path(__file__).parents[2] / "tools" / "builtin.json").read_text(encoding="utf-8"))
NAMES: list[str] = [tool["name"] for tool in TOOLS]
_QUESTIONS: dict[str, Any] = tomllib.loads((DATA / "questions.toml").read_text(encoding="utf-8"))


def ask(tool: str, rng: Random, *, offered: bool, held_out: bool = False) -> Exchange:
    """A question for `tool`; the answer names the screen when the tool is not offered."""
    intent = rng.choice(_QUESTIONS[tool]["intent"])
    question = rng.choice(intent["held_out"]) if held_out else vary(rng.choice(intent["ask"]), rng)
    found, arguments, name = _situation(tool, question, rng)
    question = question.replace("{name}", name)
    if not offered:
        return Exchange(question, _QUESTIONS[tool]["otherwise"])
    match tool:
        case "get_hardware":
            answer = hardware.answer(found)
        case "list_models":
            answer = catalog.list_answer(found)
        case _:
            answer = catalog.search_answer(found)
    return Exchange(question, answer, Call(tool, arguments, found))


def _situation(tool: str, question: str, rng: Random) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What the tool returns, its arguments, and the model that the question names."""
    if tool == "get_hardware":
        return hardware.result(rng), {}, ""
    if tool == "list_models":
        found = catalog.listed(rng)
        there = [model["name"] for model in found["models"]] + found["others"]
        name = rng.choice(there) if there and rng.random() < 0.8 else local_model(rng)
        return found, {}, name if "{name}" in question else ""
    query = model_name(rng)
    return catalog.found_on_hub(query, rng), {"query": query}, query
