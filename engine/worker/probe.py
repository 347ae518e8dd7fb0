"""Asks a runtime what it can do here, in a child that is thrown away: a crash is an answer."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from engine.errors import ErrorInfo, WorkerDied
from engine.worker.process import ChildProcess, environment, how_it_ended
from engine.worker.protocol import FrameReader, LoadFailed, Probe, Probed, ProtocolError, Report
from engine.worker.stderr_log import StderrLog

TIME_LIMIT_S = 120.0
_TIMED_OUT = "did not answer in time and was killed"


class ProbeFailed(Struct, frozen=True, kw_only=True):
    """A probe that found that something does not work."""

    error: ErrorInfo
    """What the runtime said, or `worker_died` when the child crashed or had to be killed."""
    signal: str | None = None
    """The signal that ended the child, such as `SIGILL`, unless it was killed from here."""
    exit_code: int | None = None
    timed_out: bool = False


async def probe(
    module: str,
    path: str,
    options: dict[str, Any],
    *,
    log: Path,
    environ: Mapping[str, str] | None = None,
    time_limit_s: float = TIME_LIMIT_S,
) -> Probed | ProbeFailed:
    """What the runtime's worker `module` finds with the model at `path` (may be empty) and load `options`.

    Never raises for what the child does: exceptions, crashes and time beyond `time_limit_s` seconds are `ProbeFailed`.
    """
    stderr = StderrLog(log)
    try:
        child = await ChildProcess.spawn(
            module, "probe", environ=environment(os.environ if environ is None else environ), on_stderr=stderr.write
        )
        child.send(Probe(path=path, options=options))
        answer, ending = await _asked(child, time_limit_s)
        code = await child.reap()
    finally:
        stderr.close()
    if isinstance(answer, Probed):
        return answer
    if isinstance(answer, LoadFailed):
        return ProbeFailed(error=answer.error, exit_code=code)
    tail = stderr.tail()
    error = WorkerDied(
        f"The probe of {module.split('.')[-2]} {ending or how_it_ended(code)}.",
        meaning=f"Its last lines: {tail}" if tail else "It left no message.",
        remedy=f"All it said is in {log}.",
    )
    crashed = code < 0 and not ending
    return ProbeFailed(
        error=error.info,
        signal=signal.Signals(-code).name if crashed else None,
        exit_code=code if code >= 0 else None,
        timed_out=ending == _TIMED_OUT,
    )


async def _asked(child: ChildProcess, time_limit_s: float) -> tuple[Probed | LoadFailed | None, str]:
    """The child's answer, and why it was killed if it had to be."""
    try:
        return await asyncio.wait_for(_answer(child), time_limit_s), ""
    except TimeoutError:
        ending = _TIMED_OUT
    except ProtocolError as error:
        ending = f"sent what is no frame and was killed ({error})"
    except asyncio.CancelledError:
        child.signal(signal.SIGKILL)
        await child.reap()
        raise
    child.signal(signal.SIGKILL)
    return None, ending


async def _answer(child: ChildProcess) -> Probed | LoadFailed | None:
    reader: FrameReader[Report] = FrameReader(Report)
    while data := await child.read():
        for report in reader.feed(data):
            if isinstance(report, Probed | LoadFailed):
                return report
    return None
