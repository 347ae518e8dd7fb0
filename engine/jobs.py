"""Long work: what is queued, runs, waits or is over. Survives the host, by `kill -9` too.

A job is carried out by one task, its owner, which alone changes its state while it runs; pausing and cancelling tell
the task so and wait for it. What kinds of work there are is not known here: a kind opens a `Work` from its
specification, which is kept in the list on disk, and a job that a dead host left running is queued again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from engine.bus import Bus
from engine.errors import Conflict, FootplateError, InternalError, NotFound
from engine.events import JobChanged, JobProgress, JobRemoved
from engine.files import replace_file
from engine.meter import Meter
from engine.types import JobInfo, JobState
from engine.work import JobSpec, Record, Work, read_records

log = logging.getLogger(__name__)

TICK_S = 0.5
"""Seconds between two reports of a running job's progress."""
HISTORY = 200
"""Jobs that are over and kept in the list."""


class _Job:
    """A job in memory. While it has an `owner`, that task alone changes its state; `wish` is the state to halt in."""

    def __init__(self, record: Record, work: Work) -> None:
        self.record = record
        self.work = work
        self.owner: asyncio.Task[None] | None = None
        self.wish: JobState | None = None
        self.doing: asyncio.Task[tuple[str, ...]] | None = None

    @property
    def info(self) -> JobInfo:
        return self.record.info

    def halt(self, state: JobState) -> None:
        """Asks the owner to halt; too late when the work has ended."""
        self.wish = state
        if self.doing:
            self.doing.cancel()


Opener = Callable[[Raw], Work]


class Jobs:
    """The list of jobs and their tasks. Used from the event loop only."""

    def __init__(
        self,
        bus: Bus,
        file: Path,
        kinds: Mapping[str, Opener],
        at_once: Callable[[], int],
        hold: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`file` keeps the list, `at_once` says how many may run, `hold` keeps the host alive while one does.

        Raises `StartError` naming the file when it cannot be read.
        """
        self._bus = bus
        self._file = file
        self._kinds = kinds
        self._at_once = at_once
        self._hold = hold
        self._jobs = {record.info.id: self._open(record) for record in read_records(file)}
        self._saving = asyncio.Lock()
        self._ending = False

    @property
    def infos(self) -> tuple[JobInfo, ...]:
        """Every job, the newest first."""
        return tuple(self._jobs[number].info for number in sorted(self._jobs, reverse=True))

    def begin(self) -> None:
        """Lets queued jobs run, those of the last host among them."""
        self._pump()

    async def start(self, spec: JobSpec) -> JobInfo:
        """Queues a job; one with the same key that is not done is taken up instead.

        It is on disk when this returns. Raises `InternalError` when it cannot be put there.
        """
        same = [job for job in self._jobs.values() if job.record.spec.key == spec.key]
        for job in same:
            if job.info.state not in {JobState.DONE, JobState.CANCELLED}:
                return await self.resume(job.info.id)
            await self.remove(job.info.id)  # the new one says all that it said
        number = max(self._jobs, default=0) + 1
        info = JobInfo(
            id=number,
            kind=spec.kind,
            title=spec.title,
            state=JobState.QUEUED,
            created=time.time(),
            folder=spec.folder,
        )
        job = self._jobs[number] = self._open(Record(spec=spec, info=info))
        try:
            await self._save()
        except OSError as error:
            del self._jobs[number]
            raise InternalError(
                f"The list of jobs {self._file} cannot be written: {error.strerror}.",
                remedy="Make room on its disk, or its folder writable.",
            ) from error
        self._bus.publish(JobChanged(job=job.info))
        self._pump()
        return job.info

    async def pause(self, number: int) -> JobInfo:
        """Halts a job, which keeps what it has. Raises `NotFound`, and `Conflict` when it is over."""
        return await self._halt(self._unfinished(number), JobState.PAUSED)

    async def cancel(self, number: int) -> JobInfo:
        """Ends a job and removes what is half done; a failed one, too.

        Raises `NotFound`, and `Conflict` when it is done or cancelled.
        """
        job = self._find(number)
        if job.info.state is not JobState.FAILED:
            self._unfinished(number)
        info = await self._halt(job, JobState.CANCELLED)
        if info.state is JobState.CANCELLED:
            others = [
                other.work.claims for other in self._jobs.values() if other is not job and not other.info.state.over
            ]
            await job.work.discard(frozenset().union(*others))
        return info

    async def resume(self, number: int) -> JobInfo:
        """Queues a paused, failed or cancelled job again. Raises `NotFound`, and `Conflict` when it is done."""
        job = self._find(number)
        if job.info.state is JobState.DONE:
            raise Conflict(f"Job {number} ({job.info.title}) is done already.")
        if job.info.state not in {JobState.QUEUED, JobState.RUNNING}:
            await self._become(job, replace(job.info, state=JobState.QUEUED, error=None, ended=None, note=""))
            self._pump()
        return job.info

    async def remove(self, number: int) -> None:
        """Takes a job that is over out of the list. Raises `NotFound`, and `Conflict` while it is not over."""
        job = self._find(number)
        if not job.info.state.over:
            raise Conflict(f"Job {number} ({job.info.title}) is not over.", remedy="Cancel it first.")
        del self._jobs[number]
        self._bus.publish(JobRemoved(job=number))
        await self._save_or_warn()

    async def shutdown(self) -> None:
        """Halts what runs; the next host goes on with it."""
        self._ending = True
        running = [job for job in self._jobs.values() if job.owner]
        for job in running:
            job.halt(job.wish or JobState.QUEUED)
        if owners := [job.owner for job in running if job.owner]:
            await asyncio.wait(owners)

    def _open(self, record: Record) -> _Job:
        job = _Job(record, self._kinds[record.spec.kind](record.spec.detail))
        if not record.info.state.over:
            record.info = self._look(job)  # a killed host has not noted how far it was
        return job

    def _find(self, number: int) -> _Job:
        try:
            return self._jobs[number]
        except KeyError:
            raise NotFound(f"There is no job {number}.", meaning="It may have been taken out of the list.") from None

    def _unfinished(self, number: int) -> _Job:
        job = self._find(number)
        if job.info.state.over:
            raise Conflict(f"Job {number} ({job.info.title}) is over: {job.info.state.value}.")
        return job

    async def _halt(self, job: _Job, state: JobState) -> JobInfo:
        """Brings a job to `state`, through its task when it has one; it may have ended otherwise by then."""
        if job.owner:
            job.halt(state)
            await asyncio.wait([job.owner])
        else:
            ended = time.time() if state.over else None
            await self._become(job, replace(job.info, state=state, ended=ended, rate=None, left_s=None))
        return job.info

    def _pump(self) -> None:
        """Starts queued jobs, the oldest first, as many as may run and do not touch what a running one touches."""
        if self._ending:
            return
        running = [job for job in self._jobs.values() if job.owner]
        for _, job in sorted(self._jobs.items()):
            if len(running) >= self._at_once():
                return
            free = all(job.work.claims.isdisjoint(other.work.claims) for other in running)
            if job.info.state is JobState.QUEUED and not job.owner and free:
                job.wish = None
                job.owner = asyncio.create_task(self._own(job))
                running.append(job)

    async def _own(self, job: _Job) -> None:
        """The owner of a running job."""
        with self._hold():
            await self._become(job, replace(job.info, state=JobState.RUNNING, error=None, ended=None))
            ticking = asyncio.create_task(self._tick(job))
            job.doing = asyncio.create_task(job.work.run())
            if job.wish:
                job.doing.cancel()
            await asyncio.wait([job.doing])
            ticking.cancel()
            end = self._outcome(job, job.doing)
            job.doing = None
            ended = time.time() if end.state.over else None
            await self._become(job, replace(end, rate=None, left_s=None, ended=ended))
            job.owner = None
            self._pump()

    def _outcome(self, job: _Job, doing: asyncio.Task[tuple[str, ...]]) -> JobInfo:
        """The job after its work has ended in one way or another."""
        now = self._look(job)
        if doing.cancelled():
            return replace(now, state=job.wish or JobState.QUEUED)
        fault = doing.exception()
        if fault is None:
            return replace(now, state=JobState.DONE, models=doing.result())
        if not isinstance(fault, FootplateError):
            log.error("job %d (%s) failed", now.id, now.title, exc_info=fault)
            fault = InternalError("Footplate made a mistake in this job.", remedy="The host's log says more.")
        return replace(now, state=JobState.FAILED, error=fault.info)

    async def _tick(self, job: _Job) -> None:
        meter = Meter()
        while True:
            job.record.info = self._look(job)
            meter.add(time.monotonic(), job.info.done)
            job.record.info = replace(job.info, rate=meter.rate, left_s=meter.left_s(job.info.total))
            self._bus.publish(JobProgress(job=job.info))
            await asyncio.sleep(TICK_S)

    def _look(self, job: _Job) -> JobInfo:
        """The job with what its work says now; what was shown to be done never becomes less."""
        now = job.work.progress()
        before = {file.name: file.done for file in job.info.files}
        files = tuple(replace(file, done=max(file.done, before.get(file.name, 0))) for file in now.files)
        done = max(now.done, job.info.done)
        return replace(job.info, done=done, total=now.total, files=files, note=now.note)

    async def _become(self, job: _Job, info: JobInfo) -> None:
        """Gives a job its next state: on disk first, then told."""
        job.record.info = info
        log.info("job %d (%s): %s %s", info.id, info.title, info.state.value, info.error or "")
        await self._save_or_warn()
        self._bus.publish(JobChanged(job=info))

    async def _save_or_warn(self) -> None:
        try:
            await self._save()
        except OSError as error:
            log.warning("the list of jobs %s cannot be written: %s", self._file, error)

    async def _save(self) -> None:
        async with self._saving:
            over = [number for number, job in sorted(self._jobs.items()) if job.info.state.over]
            for number in over[:-HISTORY]:
                del self._jobs[number]
            text = msgspec.json.encode([job.record for _, job in sorted(self._jobs.items())])
            await asyncio.shield(asyncio.to_thread(replace_file, self._file, text))
