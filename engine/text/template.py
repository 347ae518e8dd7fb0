"""Chat templates: the Jinja source that a model file brings, rendered in a sandbox with bounds on everything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jinja2 import Template, TemplateSyntaxError, meta
from jinja2.exceptions import SecurityError

from engine.errors import TemplateError
from engine.text.bounded import TimeUp, bounded
from engine.text.sandbox import Refused, environment
from engine.types import Message, ToolDefinition

SECONDS = 5.0
MEMORY = 512 * 1024 * 1024
"""Bytes that rendering may take beyond what the process has."""
OUTPUT = 16 * 1024 * 1024
"""Characters of a rendered prompt, several times what fits the longest contexts."""


class ChatTemplate:
    """A compiled chat template. Every fault in it is a `TemplateError`, raised when it is made or rendered."""

    def __init__(self, source: str, *, bos: str = "", eos: str = "", seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._tokens = {"bos_token": bos, "eos_token": eos}
        with _faults(seconds):
            self._template, variables = bounded(lambda: _compiled(source), seconds=seconds, memory=MEMORY)
        self.tools = "tools" in variables
        """Whether the template looks at the tools it is given."""

    def render(self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] = ()) -> str:
        """The prompt for `messages` (as `message_data` gives them), up to where the model has to go on.

        Raises `TemplateError` when the template refuses them, fails, or exceeds its bounds.
        """
        try:
            return self._render(messages, tools)
        except TemplateError as error:
            if not any(message.get("tool_calls") for message in messages):
                raise
            return self._render_written(messages, tools, error)

    def _render_written(
        self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], first: TemplateError
    ) -> str:
        """Once more with arguments of calls as JSON text: some templates join them to strings."""
        try:
            return self._render([_with_written_arguments(message) for message in messages], tools)
        except TemplateError:
            raise first from None

    def _render(self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> str:
        variables = {
            **self._tokens,
            "messages": list(messages),
            "tools": list(tools) or None,
            "documents": None,
            "add_generation_prompt": True,
        }
        with _faults(self._seconds):
            return bounded(lambda: self._joined(variables), seconds=self._seconds, memory=MEMORY)

    def _joined(self, variables: dict[str, Any]) -> str:
        parts: list[str] = []
        size = 0
        for part in self._template.generate(variables):
            size += len(part)
            if size > OUTPUT:
                raise OverflowError(f"more than {OUTPUT} characters")
            parts.append(part)
        return "".join(parts)


def _compiled(source: str) -> tuple[Template, set[str]]:
    """The template and the variables it looks at. Both compute constant expressions, so both need bounds."""
    sandbox = environment()
    return sandbox.from_string(source), meta.find_undeclared_variables(sandbox.parse(source))


def message_data(message: Message) -> dict[str, Any]:
    """A message as templates expect it: OpenAI's shape, with the arguments of calls as data where they parse."""
    data: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning:
        data["reasoning_content"] = data["reasoning"] = message.reasoning
        if not (message.tool_calls and message.content):  # one template takes only one of these beside calls
            data["thinking"] = message.reasoning
    if message.tool_calls:
        data["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _parsed(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        data["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        data["name"] = message.name
    return data


def tool_data(tool: ToolDefinition) -> dict[str, Any]:
    """A tool as templates expect it: OpenAI's shape."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


@contextmanager
def _faults(seconds: float) -> Iterator[None]:
    """Turns whatever goes wrong inside into a `TemplateError` that says it to a user."""
    try:
        yield
    except Exception as error:
        raise TemplateError(_explained(error, seconds), param="messages") from error


def _explained(error: Exception, seconds: float) -> str:
    match error:
        case TimeUp():
            return f"The model's chat template ran longer than {seconds:g} seconds and was stopped."
        case MemoryError() | OverflowError():
            return "The model's chat template made more than a prompt can hold and was stopped."
        case Refused():
            return f"The model's chat template does not take these messages: {_short(error)}."
        case SecurityError():
            return f"The model's chat template tried something that templates may not do: {_short(error)}."
        case TemplateSyntaxError():
            return f"The model's chat template cannot be read (line {error.lineno}): {_short(error)}."
        case _:
            return f"The model's chat template failed ({type(error).__name__}): {_short(error)}."


def _parsed(arguments: str) -> Any:
    try:
        data = json.loads(arguments)
    except ValueError:
        return arguments
    return data if isinstance(data, dict) else arguments


def _with_written_arguments(message: dict[str, Any]) -> dict[str, Any]:
    if not message.get("tool_calls"):
        return message
    calls = []
    for call in message["tool_calls"]:
        function = call["function"]
        arguments = function["arguments"]
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        calls.append({**call, "function": {**function, "arguments": text}})
    return {**message, "tool_calls": calls}


def _short(error: Exception) -> str:
    text = " ".join("".join(char if char.isprintable() else " " for char in str(error)).split())
    return text[:300].rstrip(".") or "it gave no reason"
