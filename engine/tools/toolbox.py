"""The tools that Footplate offers to models in a chat. A call never raises: what goes wrong is told to the model."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any

import msgspec

from engine.types import ToolCall, ToolDefinition

log = logging.getLogger(__name__)

CALL_S = 30.0
"""Seconds after which a call is given up."""

Tool = Callable[..., Awaitable[Any]]
"""Takes the call's arguments by keyword; what it returns is sent to the model as JSON."""


def definitions() -> tuple[ToolDefinition, ...]:
    """The built-in tools as the model sees them."""
    text = resources.files("engine.tools").joinpath("builtin.json").read_bytes()
    return msgspec.json.decode(text, type=tuple[ToolDefinition, ...])


class Toolbox:
    """The tools by name."""

    def __init__(self, offered: tuple[ToolDefinition, ...], tools: Mapping[str, Tool]) -> None:
        """`tools` has an implementation for each of the definitions in `offered`."""
        self.definitions = offered
        self._tools = tools
        self._parameters = {definition.name: definition.parameters for definition in offered}

    async def call(self, call: ToolCall) -> str:
        """The result of a call as JSON text; `{"error": …}` where it failed."""
        log.info("tool %s(%.200s)", call.name, call.arguments)
        # With a space after commas and colons, as most models have seen results, the built-in one always.
        return json.dumps(await self._result(call), ensure_ascii=False)

    async def _result(self, call: ToolCall) -> Any:
        tool = self._tools.get(call.name)
        if tool is None:
            return {"error": f"There is no tool {call.name}. There are: {', '.join(self._tools)}."}
        arguments = self._arguments(call)
        if isinstance(arguments, str):
            return {"error": arguments}
        try:
            async with asyncio.timeout(CALL_S):
                return await tool(**arguments)
        except TimeoutError:
            return {"error": f"{call.name} did not answer within {CALL_S:.0f} seconds."}
        except Exception as error:
            log.exception("tool %s failed", call.name)
            return {"error": f"{call.name} failed: {type(error).__name__}."}

    def _arguments(self, call: ToolCall) -> dict[str, Any] | str:
        """The arguments, or what is wrong with them."""
        try:
            arguments = msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
        except msgspec.MsgspecError:
            return f"The arguments of {call.name} are not a JSON object."
        schema = self._parameters[call.name]
        known: dict[str, Any] = schema.get("properties", {})
        missing = [name for name in schema.get("required", []) if name not in arguments]
        if missing:
            return f"{call.name} needs {', '.join(missing)}."
        wrong = [name for name in known if name in arguments and not isinstance(arguments[name], str)]
        if wrong:
            return f"{', '.join(wrong)} must be a text."
        return {name: value for name, value in arguments.items() if name in known}
