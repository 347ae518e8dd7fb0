"""The child by itself: its descriptors, its end when the host's ends, and hosts that send nonsense."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.waiting import wait_until
from workers import MODULE, ended

from engine.worker.protocol import (
    Command,
    FrameReader,
    GetStats,
    Hello,
    Load,
    Loaded,
    Report,
    Stop,
    encode,
)

STALL = '[[replies]]\nfault = "stall"\n'


@contextmanager
def child(mode: str = "serve", module: str = MODULE) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-P", "-m", module, mode]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def send(process: subprocess.Popen[bytes], *commands: Command) -> None:
    assert process.stdin is not None
    process.stdin.write(b"".join(map(encode, commands)))
    process.stdin.flush()


def hear(process: subprocess.Popen[bytes], kind: type[Report]) -> list[Report]:
    """The reports up to the first of `kind`."""
    assert process.stdout is not None
    reader: FrameReader[Report] = FrameReader(Report)
    heard: list[Report] = []
    while not any(isinstance(report, kind) for report in heard):
        data = os.read(process.stdout.fileno(), 65536)
        assert data, "the child ended"
        heard += reader.feed(data)
    return heard


def load(folder: Path, script: str = "") -> Load:
    path = folder / "test.scripted.toml"
    path.write_text(script)
    return Load(path=str(path), options={})


def test_the_first_thing_said_is_hello(tmp_path: Path) -> None:
    with child() as process:
        hello = hear(process, Hello)[0]
        assert isinstance(hello, Hello)
        assert (hello.pid, hello.runtime) == (process.pid, "scripted")
        send(process, load(tmp_path))
        hear(process, Loaded)
        send(process, Stop())
        assert process.wait(20) == 0


@pytest.mark.parametrize("loaded", [False, True])
def test_the_child_ends_when_its_input_does(tmp_path: Path, loaded: bool) -> None:
    with child() as process:
        hear(process, Hello)
        if loaded:
            send(process, load(tmp_path))
            hear(process, Loaded)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def test_the_child_ends_at_end_of_input_though_its_main_thread_never_comes_back(tmp_path: Path) -> None:
    with child() as process:
        send(process, load(tmp_path, 'load_fault = "deaf"'))
        hear(process, Hello)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def test_the_child_ends_when_nobody_reads_it(tmp_path: Path) -> None:
    with child() as process:
        send(process, load(tmp_path))
        hear(process, Loaded)
        assert process.stdout is not None
        process.stdout.close()
        send(process, GetStats())
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xff" * 16,
        b"\x00\x00\x00\x02hi",
        encode(Hello(protocol=1, pid=1, runtime="x", library="y")),
        encode(GetStats()),
    ],
)
def test_a_host_that_sends_nonsense_is_left_with_a_reason(nonsense: bytes) -> None:
    with child() as process:
        hear(process, Hello)
        assert process.stdin is not None
        process.stdin.write(nonsense)
        process.stdin.flush()
        assert process.wait(20) == 65
        assert process.stderr is not None
        assert process.stderr.read()


@pytest.mark.parametrize("arguments", [[], ["job"], ["serve", "more"]])
def test_a_mode_it_does_not_know_is_refused(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-P", "-m", MODULE, *arguments], capture_output=True, check=False, text=True)
    assert done.returncode == 64
    assert "usage" in done.stderr
    assert not done.stdout


NOISY = """
import ctypes, os, subprocess, sys
from functools import partial
from engine.runtimes.scripted.worker import ScriptedBackend
from engine.worker import child

class Noisy(ScriptedBackend):
    def load(self, path, options, progress):
        print("said by python", flush=True)
        ctypes.CDLL(None).puts(b"said by C")
        ctypes.CDLL(None).fflush(None)
        subprocess.run(["echo", "said by a child"], check=True)
        print("read:", repr(sys.stdin.read()), flush=True)
        return super().load(path, options, progress)

raise SystemExit(child.main(partial(Noisy, os.dup(1))))
"""


def test_what_libraries_print_or_read_does_not_touch_the_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noisy_worker.py").write_text(NOISY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with child(module="noisy_worker") as process:
        send(process, load(tmp_path))
        hear(process, Loaded)
        send(process, Stop())
        assert process.wait(20) == 0
        assert process.stderr is not None
        said = process.stderr.read().decode()
    for line in ("said by python", "said by C", "said by a child", "read: ''"):
        assert line in said


HOST = """
import asyncio, pathlib, sys
from engine.types import GenerateRequest, LoadPlan, Message
from engine.worker.handle import WorkerHandle

async def main():
    path = pathlib.Path(sys.argv[1])
    plan = LoadPlan(runtime="scripted", context=100, slots=1, memory=0)
    handle = WorkerHandle(module="engine.runtimes.scripted.worker", model="m", path=str(path), plan=plan,
                          log=path.parent / "log")
    await handle.start()
    request = GenerateRequest(messages=(Message(role="user", content="hi"),))
    async for output in handle.generate(request):
        print(handle.info.pid, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("fault", ["stall", "deaf"])
def test_no_child_outlives_a_host_that_is_killed(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "test.scripted.toml"
    path.write_text(f'[[replies]]\ntext = "one two three"\nfault = "{fault}"\nafter = 2\n')
    command = [sys.executable, "-c", textwrap.dedent(HOST), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        assert not ended(pid)
        host.send_signal(signal.SIGKILL)
    wait_until(lambda: ended(pid))
