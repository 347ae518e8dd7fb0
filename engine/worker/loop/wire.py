"""The child's end of the frames: commands read by a thread, reports written by the main one."""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterable

from engine.worker.protocol import Command, FrameReader, ProtocolError, Report, Stop, encode

EXIT_PROTOCOL = 65
"""Exit code after bytes that are no frames."""
_CHUNK = 256 * 1024
_PR_SET_PDEATHSIG = 1


class HostGone(Exception):
    """Nobody reads the reports any more."""


class Wire:
    """Frames over stdin and the stdout this process was started with.

    Libraries print to stdout, so descriptor 1 is pointed at stderr and frames go to a private duplicate. Descriptor 0
    is emptied likewise. The reader thread ends the process at end of input, whatever the main thread is doing: no child
    outlives its host.
    """

    def __init__(self) -> None:
        self._in, self._out = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._stoppable = threading.Event()
        _die_with_parent()
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def send(self, reports: Iterable[Report]) -> None:
        """Writes reports in one go. Raises `HostGone` when the host is."""
        data = memoryview(b"".join(map(encode, reports)))
        try:
            while data:
                data = data[os.write(self._out, data) :]
        except BrokenPipeError as error:
            raise HostGone from error

    def next(self) -> Command:
        """Waits for the next command."""
        return self._commands.get()

    def next_within(self, seconds: float | None) -> Command | None:
        """Waits for the next command, at most so long (`None`: for ever); `None` when there was none."""
        try:
            return self._commands.get(timeout=seconds)
        except queue.Empty:
            return None

    def waiting(self) -> list[Command]:
        """The commands that have come and were not taken."""
        return [self._commands.get() for _ in range(self._commands.qsize())]

    def stop_by_loop(self) -> None:
        """From now on the loop obeys `Stop`; before (while a model loads) it ends the process at once."""
        self._stoppable.set()

    def _read(self) -> None:
        reader: FrameReader[Command] = FrameReader(Command)
        while data := os.read(self._in, _CHUNK):
            try:
                for command in reader.feed(data):
                    if isinstance(command, Stop) and not self._stoppable.is_set():
                        os._exit(0)
                    self._commands.put(command)
            except ProtocolError as error:
                print(f"The host sent what is no frame: {error}", file=sys.stderr, flush=True)
                os._exit(EXIT_PROTOCOL)
        os._exit(0)


def _die_with_parent() -> None:
    """On Linux the kernel kills this process with its host, even where a library holds the interpreter's lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
