"""The tools that come with Footplate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.runtimes.spec import RuntimeSpec
from engine.tools.hub import search_models
from engine.tools.local import LocalTools
from engine.tools.toolbox import Tool, Toolbox, definitions
from engine.types import Hardware, ModelEntry, WorkerInfo


def built_in_tools(
    hardware: Callable[[], Hardware],
    models: Callable[[], Sequence[ModelEntry]],
    workers: Callable[[], Sequence[WorkerInfo]],
    specs: Sequence[RuntimeSpec],
) -> Toolbox:
    """The toolbox with the tools of `builtin.json`, answering from what the arguments say now."""
    local = LocalTools(hardware, models, workers, specs)
    tools: dict[str, Tool] = {
        "get_hardware": local.get_hardware,
        "list_models": local.list_models,
        "search_models": search_models,
    }
    return Toolbox(definitions(), tools)
