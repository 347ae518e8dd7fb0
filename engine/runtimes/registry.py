"""The runtimes there are, in the order in which they are asked who opens a model."""

from __future__ import annotations

from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.runtimes.scripted.spec import ScriptedSpec
from engine.runtimes.spec import RuntimeSpec


def specs() -> tuple[RuntimeSpec, ...]:
    """Every runtime's spec; none of them imports its library."""
    return (LlamaSpec(), ScriptedSpec())
