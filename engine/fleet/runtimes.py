"""How a model comes to be loaded: its runtime, the plan by the user's settings, and the child that carries it out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from engine.builtin import GUIDE
from engine.errors import RuntimeMissing
from engine.fleet.adapters import with_adapters
from engine.fleet.prefix_folder import PrefixFolder
from engine.hardware.detect import detect
from engine.paths import Paths
from engine.runtimes.llama_cpp import selfcheck
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.runtimes.spec import RuntimeSpec
from engine.settings import RuntimeSettings
from engine.types import Hardware, LoadPlan, ModelEntry, WorkerInfo
from engine.worker.handle import WorkerHandle


class Runtimes:
    """The runtimes of this machine, under the settings of this home."""

    def __init__(
        self,
        specs: Sequence[RuntimeSpec],
        settings: Callable[[], RuntimeSettings],
        paths: Paths,
        prefixes: PrefixFolder,
    ) -> None:
        self._specs = specs
        self._settings = settings
        self._paths = paths
        self._prefixes = prefixes

    def opening(self, entry: ModelEntry) -> RuntimeSpec:
        """The runtime that opens this model. Raises `RuntimeMissing`."""
        for spec in self._specs:
            if entry.format in spec.formats:
                return spec
        raise RuntimeMissing(
            f"No runtime here opens {entry.id} ({entry.format}).", remedy="Choose a model of another format."
        )

    def hardware(self) -> Hardware:
        """What there is, and what is free now. Blocks."""
        return detect()

    def plan(self, entry: ModelEntry, hardware: Hardware) -> LoadPlan:
        """How the model is to be loaded. Blocks. Raises as `RuntimeSpec.plan` does."""
        wish = self._settings()
        spec = self.opening(entry)
        plan = spec.plan(entry, hardware, context=wish.context, slots=wish.slots, threads=wish.threads)
        if plan.runtime == LlamaSpec.name and not wish.speculation:
            plan = replace(plan, options={**plan.options, "speculation": "off"})
        return with_adapters(plan, entry, wish.lora.get(entry.id, ()), self._paths.config)

    async def prove(self, entry: ModelEntry, plan: LoadPlan, hardware: Hardware) -> LoadPlan:
        """The plan, told where to save prompts, and changed where llama.cpp's fast kernels do not survive here."""
        if self.opening(entry).saves_prefixes:
            options = await asyncio.to_thread(self._prefixes.options)
            plan = replace(plan, options={**plan.options, **options})
        if plan.runtime != LlamaSpec.name:
            return plan
        model = GUIDE if GUIDE.exists() else Path(entry.path)

        return await selfcheck.prove(
            plan,
            module=LlamaSpec.worker_module,
            model=model,
            hardware=hardware,
            cache=self._paths.cache,
            log=self._paths.logs / "probe.log",
            wish=self._settings().fast_kernels,
        )

    async def tidy(self) -> None:
        """Brings what ended workers saved back to its budget."""
        await asyncio.to_thread(self._prefixes.prune)

    def worker(self, entry: ModelEntry, plan: LoadPlan, on_change: Callable[[WorkerInfo], None]) -> WorkerHandle:
        """The handle by which a child is started for this plan; its stderr goes to a log of its own."""
        name = re.sub(r"[^\w.-]+", "-", entry.id)
        return WorkerHandle(
            module=self.opening(entry).worker_module,
            model=entry.id,
            path=entry.path,
            plan=plan,
            log=self._paths.logs / f"worker-{name}.log",
            on_change=on_change,
        )
