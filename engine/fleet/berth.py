"""The place of one model in the fleet: its worker, the load under way, and who uses it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from engine.fleet.policy import Resident
from engine.types import ModelEntry, WorkerInfo
from engine.worker.handle import WorkerHandle


@dataclass(slots=True, eq=False)
class Berth:
    """One model's place; only the fleet changes it."""

    entry: ModelEntry
    info: WorkerInfo
    """The worker as the screen shows it."""
    handle: WorkerHandle | None = None
    """The child, from its start to its end."""
    loading: asyncio.Task[WorkerHandle] | None = None
    leases: int = 0
    last_used: float = field(default_factory=time.monotonic)

    @property
    def ready(self) -> WorkerHandle | None:
        """The worker, once its model is loaded."""
        return self.handle if self.handle and self.loading is None else None

    @property
    def resident(self) -> Resident:
        """The worker as far as making room goes; what it really took counts, else what was planned."""
        taken = self.info.facts.memory if self.info.facts else None
        planned = self.info.plan.memory if self.info.plan else 0
        return Resident(
            model=self.entry.id,
            memory=taken if taken is not None else planned,
            last_used=self.last_used,
            busy=self.leases > 0 or self.loading is not None,
        )

    def use(self, number: int) -> None:
        """One more (or, with -1, one less) uses the model."""
        self.leases += number
        self.last_used = time.monotonic()
