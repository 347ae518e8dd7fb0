"""The child's loop in mode serve: take commands, do a piece of work, and again."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import Protocol

from engine.errors import ErrorInfo, FootplateError, InternalError
from engine.worker.loop.wire import Wire
from engine.worker.protocol import Command, Report, RequestFailed, Stop

REST_AFTER_S = 0.5
"""Quiet after which the service may do its housekeeping."""
EXIT_FATAL = 70
"""Exit code after the backend failed as a whole."""


class Service(Protocol):
    """What a loaded model is there for."""

    @property
    def busy(self) -> bool:
        """Whether there is work to be done."""
        ...

    def obey(self, command: Command) -> list[Report]:
        """Takes a command in; what is to be said at once."""
        ...

    def step(self) -> bool:
        """Does a piece of work and reports it; false when the model cannot go on."""
        ...

    def rest(self) -> float | None:
        """A piece of housekeeping; see `Backend.rest`."""
        ...

    def end(self) -> Iterable[Report]:
        """The last reports of what is open; the process ends after this."""
        ...

    def finish(self) -> None:
        """What is to be done after the last report, bounded in time."""
        ...


def serve(wire: Wire, service: Service) -> int:
    """Runs until the host says stop; the exit code. Waits without turning while there is nothing to do."""
    while True:
        for command in wire.waiting() if service.busy else [_next(wire, service)]:
            if isinstance(command, Stop):
                wire.send(service.end())
                service.finish()
                return 0
            wire.send(service.obey(command))
        if service.busy and not service.step():
            return EXIT_FATAL


def attempted(identity: int, make: Callable[[], Report]) -> Report:
    """The report that `make` gives; whatever goes wrong in it fails this request alone."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - see above
        return RequestFailed(id=identity, error=explained(error))


def explained(error: Exception) -> ErrorInfo:
    """What the host is told of an exception."""
    if isinstance(error, FootplateError):
        return error.info
    traceback.print_exception(error)
    return InternalError(f"The request failed in the worker ({type(error).__name__}): {error}").info


def _next(wire: Wire, service: Service) -> Command:
    """Waits for the next command; the service does its housekeeping meanwhile, piece by piece."""
    pause_s: float | None = REST_AFTER_S
    while (command := wire.next_within(pause_s)) is None:
        pause_s = service.rest()
    return command
