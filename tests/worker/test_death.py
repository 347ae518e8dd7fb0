"""However a worker dies or misbehaves: whoever waits is told, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest
from fixtures.waiting import until
from workers import (
    DEADLINE_S,
    Changes,
    answer,
    ask,
    collect,
    descriptors,
    ended,
    first_delta,
    make_handle,
    pid_of,
    running,
)

from engine.errors import (
    Conflict,
    CorruptModel,
    FootplateError,
    InsufficientMemory,
    ModelLoadError,
    StartError,
    WorkerDied,
)
from engine.types import Delta, Finish, WorkerState

SLOW = 'tok_per_s = 50\n[[replies]]\nmatch = "go"\ntext = "on and on, "\nfault = "endless"\n'


def faulty(fault: str) -> str:
    return f'[[replies]]\nmatch = "go"\ntext = "one two three four"\nfault = "{fault}"\nafter = 2\n'


async def test_a_worker_killed_in_mid_stream_fails_every_stream(tmp_path: Path) -> None:
    changes = Changes()
    async with running(tmp_path, SLOW, on_change=changes.append) as handle:
        streams = [handle.generate(ask(f"go {index}")) for index in range(3)]
        for stream in streams:
            await first_delta(stream)
        os.kill(pid_of(handle), signal.SIGKILL)
        async with asyncio.timeout(DEADLINE_S):
            for stream in streams:
                with pytest.raises(WorkerDied, match="SIGKILL"):
                    _ = [output async for output in stream]
        await until(lambda: handle.info.state is WorkerState.CRASHED)
        assert handle.info.error is not None
        assert handle.info.error.code == "worker_died"
        with pytest.raises(WorkerDied):
            await collect(handle, ask("again"))
        with pytest.raises(WorkerDied):
            await handle.stats()
    assert changes.states() == ["loading", "ready", "busy", "crashed"]


@pytest.mark.parametrize(("fault", "words"), [("crash", "SIGABRT"), ("garbage", "no frame"), ("fatal", "fails")])
async def test_every_fault_is_a_typed_error_after_what_was_said(tmp_path: Path, fault: str, words: str) -> None:
    async with running(tmp_path, faulty(fault)) as handle:
        assert (await answer(handle, ask("hi")))[0] == "You said: hi"
        outputs = []
        with pytest.raises(WorkerDied, match=words) as caught:
            async for output in handle.generate(ask("go")):
                outputs.append(output)  # noqa: PERF401 - what came before the error is looked at
        assert any(isinstance(output, Delta) for output in outputs)
        await until(lambda: handle.info.state is WorkerState.CRASHED)
        info = handle.info.error
        assert info is not None
        assert info.remedy
        if fault == "fatal":
            assert "exit code 70" in info.what
            assert "RuntimeError: the script says that the step fails" in info.meaning
            assert caught.value.info.meaning


async def test_running_out_of_memory_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, faulty("memory"), memory_limit=512 * 1024 * 1024) as handle:
        with pytest.raises(WorkerDied, match="MemoryError"):
            await collect(handle, ask("go"))
        await until(lambda: handle.info.state is WorkerState.CRASHED)


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ('load_fault = "error"', ModelLoadError, "could not be loaded"),
        ('load_fault = "memory"', InsufficientMemory, "not enough memory"),
        ('load_fault = "crash"', WorkerDied, "SIGABRT"),
        ('load_fault = "garbage"', WorkerDied, "no frame"),
        ("no toml", CorruptModel, "test.scripted.toml"),
        ("unknown = 1", CorruptModel, "unknown"),
    ],
)
async def test_a_load_that_fails_raises_its_own_error(
    tmp_path: Path, script: str, error: type[FootplateError], words: str
) -> None:
    handle = make_handle(tmp_path, script, memory_limit=512 * 1024 * 1024)
    with pytest.raises(error, match=words):
        await handle.start()
    assert handle.info.state is WorkerState.CRASHED
    assert handle.info.error is not None
    assert handle.info.error.code == error.code
    await handle.stop()


async def test_a_module_that_is_no_worker_fails_to_start_with_its_last_words(tmp_path: Path) -> None:
    handle = make_handle(tmp_path, module="engine.no_such_module")
    with pytest.raises(WorkerDied, match="No module named"):
        await handle.start()


async def test_a_log_that_cannot_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    handle = make_handle(tmp_path, log=tmp_path / "file" / "test.log")
    with pytest.raises(StartError, match="cannot be written"):
        await handle.start()
    await handle.stop()
    assert handle.info.state is WorkerState.GONE


@pytest.mark.parametrize("fault", ["stall", "deaf"])
async def test_a_worker_that_does_not_answer_is_ended_all_the_same(tmp_path: Path, fault: str) -> None:
    changes = Changes()
    handle = make_handle(tmp_path, faulty(fault), on_change=changes.append)
    await handle.start()
    pid = pid_of(handle)
    stream = handle.generate(ask("go"))
    await first_delta(stream)
    log = tmp_path / "test.log"
    await until(lambda: log.exists() and "As the script says" in log.read_text())
    await asyncio.gather(handle.stop(grace_s=0.1, term_s=0.1), handle.stop())
    assert ended(pid)
    assert handle.info.state is WorkerState.GONE
    assert changes.states()[-2:] == ["unloading", "gone"]
    with pytest.raises(WorkerDied, match="unloaded"):
        _ = [output async for output in stream]


async def test_stopping_finishes_what_runs_as_cancelled(tmp_path: Path) -> None:
    async with running(tmp_path, SLOW) as handle:
        stream = handle.generate(ask("go"))
        await first_delta(stream)
        await handle.stop()
        rest = [output async for output in stream]
    assert isinstance(rest[-1], Finish)
    assert rest[-1].reason == "cancelled"
    assert handle.info.state is WorkerState.GONE
    await handle.stop()


async def test_a_load_can_be_stopped_and_called_off(tmp_path: Path) -> None:
    for call_off in (False, True):
        changes = Changes()
        handle = make_handle(tmp_path, "load_s = 60", on_change=changes.append)
        start = asyncio.create_task(handle.start())
        await until(lambda: any(info.progress for info in changes))  # noqa: B023 - awaited within this turn
        pid = pid_of(handle)
        with pytest.raises(Conflict, match="still being loaded"):
            await collect(handle, ask("hi"))
        if call_off:
            start.cancel()
            with pytest.raises(asyncio.CancelledError):
                await start
        else:
            await handle.stop()
            with pytest.raises(WorkerDied, match="unloaded"):
                await start
        await until(lambda: ended(pid))  # noqa: B023 - awaited within this turn
        await handle.stop()


async def test_nothing_is_left_behind(tmp_path: Path) -> None:
    async def one_life(fault: str) -> None:
        async with running(tmp_path, faulty(fault)) as handle, aclosing(handle.generate(ask("go"))) as stream:
            await first_delta(stream)
            await handle.stop(grace_s=0.2, term_s=0.2)

    await one_life("stall")
    files, tasks = descriptors(), asyncio.all_tasks()
    for fault in ("crash", "garbage", "deaf", "error", "endless"):
        await one_life(fault)
    await until(lambda: not psutil.Process().children())
    await until(lambda: descriptors() <= files)
    await until(lambda: asyncio.all_tasks() == tasks)
