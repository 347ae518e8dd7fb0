"""What one question and its answer are, before they become messages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Tool = dict[str, Any]
"""A function's name, description and parameters, as `engine/tools/builtin.json` has them."""
Message = dict[str, Any]
"""A chat message as the API has it."""


@dataclass(frozen=True)
class Call:
    """A tool call and what it returned."""

    name: str
    arguments: dict[str, Any]
    result: Any


@dataclass(frozen=True)
class Exchange:
    """A question, the call it needs, if any, and the answer."""

    question: str
    answer: str
    call: Call | None = None

    def messages(self, *, text_arguments: bool = False) -> list[Message]:
        """The exchange as chat messages; with `text_arguments` a call's arguments are a JSON string, as in the API."""
        turn: list[Message] = [{"role": "user", "content": self.question}]
        if self.call:
            arguments = json.dumps(self.call.arguments, ensure_ascii=False) if text_arguments else self.call.arguments
            function = {"name": self.call.name, "arguments": arguments}
            turn.append(
                {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": function}]}
            )
            turn.append({"role": "tool", "content": json.dumps(self.call.result, ensure_ascii=False)})
        turn.append({"role": "assistant", "content": self.answer})
        return turn
