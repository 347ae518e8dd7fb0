"""Messages to text, by the template that ships with the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.builtin.train.exchange import Message, Tool

TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8").rstrip("\n")


def _tojson(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_ENVIRONMENT = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
_ENVIRONMENT.filters["tojson"] = _tojson
_COMPILED = _ENVIRONMENT.from_string(TEMPLATE)


def render(messages: list[Message], tools: list[Tool], *, ask: bool = False) -> str:
    """The text of a conversation; with `ask`, up to where the model is to answer."""
    return _COMPILED.render(messages=messages, tools=tools, add_generation_prompt=ask)
