"""Real workers for these tests: scripted models, handles on them, and what to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from engine.types import Delta, Finish, GenerateRequest, LoadPlan, Message, Output, WorkerInfo
from engine.worker.handle import WorkerHandle

MODULE = "engine.runtimes.scripted.worker"
DEADLINE_S = 20.0


def make_handle(folder: Path, script: str = "", **wishes: Any) -> WorkerHandle:
    """A handle on a worker, not started, for a scripted model with the TOML `script`."""
    path = folder / "test.scripted.toml"
    path.write_text(script)
    plan = LoadPlan(runtime="scripted", context=4096, slots=4, memory=0)
    wishes = {"module": MODULE, "log": folder / "test.log"} | wishes
    return WorkerHandle(model="test", path=str(path), plan=plan, **wishes)


@asynccontextmanager
async def running(folder: Path, script: str = "", **wishes: Any) -> AsyncIterator[WorkerHandle]:
    """A started worker that is stopped in the end, by force if it has to be."""
    handle = make_handle(folder, script, **wishes)
    try:
        await handle.start()
        yield handle
    finally:
        await handle.stop(grace_s=5, term_s=0.5)


def ask(text: str, **fields: Any) -> GenerateRequest:
    """A request with one user message."""
    return GenerateRequest(messages=(Message(role="user", content=text),), **fields)


async def collect(handle: WorkerHandle, request: GenerateRequest) -> list[Output]:
    """Everything that a generation yields."""
    async with aclosing(handle.generate(request)) as outputs:
        return [output async for output in outputs]


async def answer(handle: WorkerHandle, request: GenerateRequest) -> tuple[str, Finish]:
    """The text and the end of a generation."""
    outputs = await collect(handle, request)
    assert isinstance(outputs[-1], Finish)
    return "".join(output.text for output in outputs if isinstance(output, Delta)), outputs[-1]


async def first_delta(outputs: AsyncIterator[Output]) -> Delta:
    """The first delta with text."""
    async with asyncio.timeout(DEADLINE_S):
        async for output in outputs:
            if isinstance(output, Delta) and output.text:
                return output
    raise AssertionError("the generation ended without text")


def pid_of(handle: WorkerHandle) -> int:
    """The process of a running worker."""
    pid = handle.info.pid
    assert pid is not None
    return pid


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that is not ours to reap."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def descriptors() -> int:
    """How many files this process has open."""
    return psutil.Process().num_fds()


class Changes(list[WorkerInfo]):
    """Takes the states of a worker (`on_change`)."""

    def states(self) -> list[str]:
        """The states in their order, each once."""
        found: list[str] = []
        for info in self:
            if not found or found[-1] != info.state:
                found.append(info.state)
        return found
