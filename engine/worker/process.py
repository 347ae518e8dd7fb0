"""A child process with frames on its stdin and stdout: started, heard, signalled and reaped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from engine.errors import WorkerDied
from engine.worker.limits import MEMORY_LIMIT
from engine.worker.protocol import Command, encode

_LINGER_S = 0.5
_PASSED = (
    *("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "TEMP", "TMP", "TMPDIR", "TZ", "USER"),
    *("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "GLIBC_TUNABLES"),
)
_PASSED_FAMILIES = (
    *("LC_", "LD_", "DYLD_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_"),
    *("CUDA_", "NVIDIA_", "HIP_", "ROCR_", "HSA_", "AMD_", "ONEAPI_", "SYCL_", "ZE_", "VK_", "MESA_", "METAL_"),
    *("GGML_", "LLAMA_", "OPENVINO_", "OV_", "MLX_"),
)
_ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"} if sys.platform == "linux" else {}
"""Lets glibc ask for huge pages under large allocations, where the kernel grants them on request (`madvise`). Decode
reads all weights for every token, and with pages of 4 KiB the processor's prefetchers stop at each of them."""


def environment(environ: Mapping[str, str], *, memory_limit: int | None = None) -> dict[str, str]:
    """What of `environ` a child gets: what runtimes are steered by, and no keys or tokens.

    `memory_limit` is the address space in bytes that the child may have.
    """
    passed = {name: value for name, value in environ.items() if name in _PASSED or name.startswith(_PASSED_FAMILIES)}
    limit = {MEMORY_LIMIT: str(memory_limit)} if memory_limit is not None else {}
    return _ALLOCATOR | passed | limit


def how_it_ended(code: int) -> str:
    """An exit code as words that follow "it": `was ended by SIGKILL`, `ended with exit code 1`."""
    if code >= 0:
        return f"ended with exit code {code}"
    if code == -signal.SIGVTALRM:  # set by `engine.text.bounded`
        return "was ended because the model's chat template ran on and could not be stopped otherwise"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def death(model: str, ending: str, tail: str, log: Path) -> WorkerDied:
    """The error of a worker that ended by itself: `ending` as `how_it_ended` says it, `tail` its last lines."""
    memory = "The system may have been out of memory. " if "SIGKILL" in ending else ""
    return WorkerDied(
        f"The worker for {model} {ending}.",
        meaning=memory + (f"Its last lines: {tail}" if tail else "It left no message."),
        remedy=f"Ask again to have the model loaded anew. All it said is in {log}.",
    )


class ChildProcess(asyncio.SubprocessProtocol):
    """One child in a session and process group of its own. `on_stderr` gets what it says there, as it comes."""

    def __init__(self, on_stderr: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self._on_stderr = on_stderr
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdout: asyncio.Queue[bytes] = asyncio.Queue()
        self._silent = loop.create_future()
        self.exited: asyncio.Future[int] = loop.create_future()
        """Its exit code, as `subprocess` has it: negative for a signal."""

    @classmethod
    async def spawn(
        cls, module: str, mode: str, *, environ: Mapping[str, str], on_stderr: Callable[[bytes], None]
    ) -> ChildProcess:
        """Starts `module` in `mode` with the environment `environ`. Raises `OSError`."""
        transport, child = await asyncio.get_running_loop().subprocess_exec(
            lambda: cls(on_stderr),
            *(sys.executable, "-P", "-m", module, mode),
            env=dict(environ),
            start_new_session=True,
        )
        child._transport = transport
        return child

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its group."""
        return self._running().get_pid()

    def send(self, command: Command) -> None:
        """Queues a command; nothing happens when the child no longer reads."""
        stdin = cast(asyncio.WriteTransport | None, self._running().get_pipe_transport(0))
        if stdin is not None and not stdin.is_closing():
            stdin.write(encode(command))

    async def read(self) -> bytes:
        """The next bytes of its frames; empty once there will be no more."""
        return await self._stdout.get()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to its whole group, unless it has ended."""
        if not self.exited.done():
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return

    async def reap(self) -> int:
        """Waits for its end, by force if it lingers after its frames have ended; its exit code. Frees everything."""
        try:
            if not await _within(self.exited, _LINGER_S):
                self.signal(signal.SIGKILL)
            code = await asyncio.shield(self.exited)
            await _within(self._silent, _LINGER_S)
            return code
        finally:
            self.signal(signal.SIGKILL)
            self._running().close()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Called by the event loop."""
        if fd == 2:
            self._on_stderr(data)
        else:
            self._stdout.put_nowait(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Called by the event loop."""
        if fd == 1:
            self._stdout.put_nowait(b"")
        elif fd == 2 and not self._silent.done():
            self._silent.set_result(None)

    def process_exited(self) -> None:
        """Called by the event loop. A grandchild may hold the pipes open: they are not waited for long."""
        code = self._running().get_returncode()
        self.exited.set_result(-1 if code is None else code)
        asyncio.get_running_loop().call_later(_LINGER_S, self._stdout.put_nowait, b"")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def _running(self) -> asyncio.SubprocessTransport:
        if self._transport is None:
            raise RuntimeError("the child has not been started")
        return self._transport


async def _within(future: asyncio.Future[Any], seconds: float) -> bool:
    done, _ = await asyncio.wait({future}, timeout=seconds)
    return bool(done)
