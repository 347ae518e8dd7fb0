"""The fleet: which models are loaded. A lease loads what is not there, makes room for it, and replaces the dead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from msgspec.structs import replace

from engine.bus import Bus
from engine.errors import Conflict, FootplateError, WorkerDied, from_info
from engine.events import WorkerChanged
from engine.fleet.berth import Berth
from engine.fleet.deaths import Deaths
from engine.fleet.policy import Decision, decide
from engine.fleet.runtimes import Runtimes
from engine.models.kinds import check_kind
from engine.types import Hardware, LoadPlan, ModelEntry, ModelKind, WorkerInfo, WorkerState
from engine.worker.handle import WorkerHandle

log = logging.getLogger(__name__)

STATS_EVERY_S = 1.0


class Fleet:
    """The one owner of every worker."""

    def __init__(self, bus: Bus, find: Callable[[str], ModelEntry], runtimes: Runtimes) -> None:
        self._bus = bus
        self._find = find
        self._runtimes = runtimes
        self._berths: dict[str, Berth] = {}
        self._deaths = Deaths()
        self._loads = asyncio.Lock()
        """One load at a time: two plans must not count on the same free memory."""

    @property
    def workers(self) -> tuple[WorkerInfo, ...]:
        """Every worker there is, and the last word of those that crashed."""
        return tuple(berth.info for berth in self._berths.values())

    @asynccontextmanager
    async def lease(self, model: str, kind: ModelKind | None = None) -> AsyncIterator[WorkerHandle]:
        """The worker of `model`, loaded first where it is not; it is not evicted while leased.

        Raises `Unsupported`, before anything is loaded, where the model is not of the `kind` that is wanted;
        `ModelNotFound`, `ModelLoadError`, `InsufficientMemory`, `WorkerDied` or `WorkerHeldBack`.
        """
        entry = self._find(model)
        if kind is not None:
            check_kind(entry, kind)
        berth = self._berth(entry)
        berth.use(1)
        try:
            yield await self._ready(berth)
        finally:
            berth.use(-1)

    async def unload(self, model: str) -> None:
        """Ends the worker of `model`, or its load, and holds it back no longer. Raises `Conflict` while it answers."""
        entry = self._find(model)
        self._deaths.forget(entry.id)
        berth = self._berths.get(entry.id)
        if berth is None:
            return
        if berth.ready and berth.leases:
            raise Conflict(
                f"{entry.id} is answering and cannot be unloaded now.", remedy="Stop the answer, or wait for it."
            )
        await self._end(berth)

    async def shutdown(self) -> None:
        """Ends every worker."""
        await asyncio.gather(*(self._end(berth) for berth in tuple(self._berths.values())))

    async def watch(self) -> None:
        """Asks the workers that answer for their numbers, again and again, and tells them."""
        while True:
            await asyncio.sleep(STATS_EVERY_S)
            for berth in tuple(self._berths.values()):
                if berth.ready and berth.info.state is WorkerState.BUSY:
                    await self._ask(berth, berth.ready)

    async def _ask(self, berth: Berth, handle: WorkerHandle) -> None:
        try:
            async with asyncio.timeout(STATS_EVERY_S):
                stats = await handle.stats()
        except (FootplateError, TimeoutError):
            return
        if berth.handle is handle and berth.info.state is WorkerState.BUSY:
            self._tell(berth, replace(berth.info, stats=stats))

    def _berth(self, entry: ModelEntry) -> Berth:
        berth = self._berths.get(entry.id)
        if berth is None:
            if entry.error:
                raise from_info(entry.error)
            info = WorkerInfo(model=entry.id, runtime=self._runtimes.opening(entry).name, state=WorkerState.LOADING)
            berth = self._berths[entry.id] = Berth(entry, info)
        return berth

    async def _ready(self, berth: Berth) -> WorkerHandle:
        if berth.ready:
            return berth.ready
        if berth.loading is None:
            held = self._deaths.held(berth.entry.id)
            if held:
                raise held
            berth.loading = asyncio.create_task(self._load(berth), name=f"load {berth.entry.id}")
            berth.loading.add_done_callback(_look)
        loading = berth.loading
        await asyncio.wait([loading])
        if loading.cancelled():
            raise WorkerDied(f"{berth.entry.id} was unloaded.", remedy="Ask again to have it loaded.")
        return loading.result()

    async def _load(self, berth: Berth) -> WorkerHandle:
        """Makes room and starts the worker; one task does so for all who wait, see `_ready`."""
        entry = berth.entry
        self._tell(berth, WorkerInfo(model=entry.id, runtime=berth.info.runtime, state=WorkerState.LOADING))
        try:
            async with self._loads:
                plan = await self._make_room(entry)
                handle = berth.handle = self._runtimes.worker(entry, plan, partial(self._changed, berth))
                await handle.start()
        except FootplateError as error:
            log.warning("%s could not be loaded: %s", entry.id, error)
            if berth.info.state is WorkerState.LOADING:
                self._tell(berth, replace(berth.info, state=WorkerState.CRASHED, error=error.info))
            raise
        finally:
            berth.loading = None
        return handle

    async def _make_room(self, entry: ModelEntry) -> LoadPlan:
        """Evicts who has to go; the plan rests on the memory that is really free afterwards."""
        while True:
            hardware = await asyncio.to_thread(self._runtimes.hardware)
            decision = await asyncio.to_thread(self._decide, entry, hardware)
            victims = [self._berths[model] for model in decision.evict if model in self._berths]
            if not victims:
                return await self._runtimes.prove(entry, decision.plan, hardware)
            for victim in victims:
                if not victim.leases:
                    log.info("%s makes room for %s", victim.entry.id, entry.id)
                    await self._end(victim)

    def _decide(self, entry: ModelEntry, hardware: Hardware) -> Decision:
        residents = [berth.resident for berth in tuple(self._berths.values()) if berth.ready]
        return decide(partial(self._runtimes.plan, entry), hardware, residents)

    def _changed(self, berth: Berth, info: WorkerInfo) -> None:
        """A worker says how it is; one that crashed counts towards being held back, and the next lease replaces it."""
        if info.state is WorkerState.CRASHED:
            berth.handle = None
            error = from_info(info.error) if info.error else None
            if isinstance(error, WorkerDied):
                info = replace(info, error=self._deaths.note(berth.entry.id, error).info)
            log.warning("%s: %s", berth.entry.id, error)
        if berth.entry.id not in self._berths or self._berths[berth.entry.id] is berth:
            self._tell(berth, info)

    async def _end(self, berth: Berth) -> None:
        """Ends a berth's load or worker; a lease taken meanwhile begins with another berth."""
        if self._berths.get(berth.entry.id) is berth:
            del self._berths[berth.entry.id]
        if berth.handle:
            await berth.handle.stop(grace_s=0.0 if berth.loading else 5.0)
            await self._runtimes.tidy()
        elif berth.loading:
            berth.loading.cancel()
            await asyncio.wait([berth.loading])
        if berth.info.state is not WorkerState.GONE and berth.entry.id not in self._berths:
            self._tell(berth, replace(berth.info, state=WorkerState.GONE))

    def _tell(self, berth: Berth, info: WorkerInfo) -> None:
        berth.info = info
        self._bus.publish(WorkerChanged(info=info))


def _look(load: asyncio.Task[WorkerHandle]) -> None:
    """A load that failed after everybody had stopped waiting is no fault; it has been told and logged."""
    if not load.cancelled():
        load.exception()
