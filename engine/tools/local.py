"""What models may ask about this machine: its hardware, and the models on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from engine.runtimes.spec import RuntimeSpec
from engine.types import Hardware, ModelEntry, WorkerInfo

DETAILED = 5
"""Models that are told in detail: a long catalogue has to fit a small model's context."""


class LocalTools:
    """`get_hardware` and `list_models`."""

    def __init__(
        self,
        hardware: Callable[[], Hardware],
        models: Callable[[], Sequence[ModelEntry]],
        workers: Callable[[], Sequence[WorkerInfo]],
        specs: Sequence[RuntimeSpec],
    ) -> None:
        self._hardware = hardware
        self._models = models
        self._workers = workers
        self._labels = {spec.name: spec.label for spec in specs}

    async def get_hardware(self) -> dict[str, Any]:
        """Processor, cores, memory and graphics cards; memory in GiB with one decimal."""
        found = await asyncio.to_thread(self._hardware)
        return {
            "cpu": found.cpu,
            "cores": found.cores,
            "memory_gib": _gib(found.memory),
            "memory_free_gib": _gib(found.memory_free),
            "gpus": [
                {"name": gpu.name, "memory_gib": _gib(gpu.memory), "memory_free_gib": _gib(gpu.memory_free)}
                for gpu in found.gpus
            ],
            "runtimes": [label for name, label in self._labels.items() if name != "scripted"],
        }

    async def list_models(self) -> dict[str, Any]:
        """How many models can be used, which are loaded, some in detail (loaded ones first), and the others' names."""
        loaded = {worker.model for worker in self._workers() if worker.facts}
        usable = [model for model in self._models() if model.error is None and model.runtimes]
        usable.sort(key=lambda model: model.id not in loaded)
        return {
            "count": len(usable),
            "loaded": [model.id for model in usable if model.id in loaded],
            "models": [
                {"name": model.id, "quantization": model.quantization or "unknown", "size": _size(model.size)}
                for model in usable[:DETAILED]
            ],
            "others": [model.id for model in usable[DETAILED:]],
        }


def _gib(size: int | None) -> float | None:
    return None if size is None else round(size / 2**30, 1)


def _size(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"
