"""Tool calls in model output: one module per syntax, chosen by what the model's chat template says."""

from __future__ import annotations

from engine.text.tool_calls.apertus import Apertus
from engine.text.tool_calls.calls import Piece, Thought
from engine.text.tool_calls.functionary import Functionary
from engine.text.tool_calls.gemma import gemma
from engine.text.tool_calls.glm import glm
from engine.text.tool_calls.harmony import Harmony
from engine.text.tool_calls.hermes import Hermes
from engine.text.tool_calls.llama import Llama
from engine.text.tool_calls.mistral import Mistral
from engine.text.tool_calls.muse import Muse
from engine.text.tool_calls.named_json import named_json
from engine.text.tool_calls.pythonic import pythonic
from engine.text.tool_calls.solar import Solar
from engine.text.tool_calls.syntax import ToolCallParser, ToolCallSyntax
from engine.text.tool_calls.tagged_json import tagged_json
from engine.text.tool_calls.tagged_xml import tagged_xml

__all__ = ["Piece", "Thought", "ToolCallParser", "ToolCallSyntax", "choose", "syntaxes"]


def syntaxes() -> tuple[ToolCallSyntax, ...]:
    """Every syntax that is understood, the more particular ones first."""
    return (
        Harmony(),
        Solar(),
        Muse(),
        *glm(),
        *tagged_xml(),
        *gemma(),
        Functionary(),
        *named_json(),
        Mistral(named=True),
        Mistral(named=False),
        Apertus(),
        *tagged_json(),
        *pythonic(),
        Hermes(),
        Llama(),
    )


def choose(template: str) -> ToolCallSyntax | None:
    """The syntax that `template` (Jinja source) teaches its model, or `None` when none is known."""
    return next((syntax for syntax in syntaxes() if syntax.spoken_by(template)), None)
