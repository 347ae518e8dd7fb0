"""The child's loop in mode serve: take commands, step, write what came of it."""

from __future__ import annotations

import time
import traceback

from engine.errors import ErrorInfo, FootplateError, InternalError, WorkerDied
from engine.worker.backend import Backend
from engine.worker.loop.prepare import Preparer
from engine.worker.loop.session import Session
from engine.worker.loop.texts import Texts
from engine.worker.loop.wire import Wire
from engine.worker.protocol import (
    Cancel,
    Command,
    Detokenize,
    Detokenized,
    Generate,
    GetStats,
    ProtocolError,
    Report,
    RequestFailed,
    Stats,
    Stop,
    Tokenize,
    Tokenized,
)

REST_AFTER_S = 0.5
"""Quiet after which the backend may do its housekeeping."""
FINISH_S = 3.0
"""What the backend may take to save at the end; below the grace that `WorkerHandle.stop` gives."""
EXIT_FATAL = 70
"""Exit code after the backend failed as a whole."""


class Loop:
    """Serves one loaded model. Requests join and leave between steps; a fault in one leaves the others alone."""

    def __init__(self, backend: Backend, wire: Wire, preparer: Preparer) -> None:
        self._backend = backend
        self._wire = wire
        self._preparer = preparer
        self._texts = Texts(backend.vocabulary, preparer)
        self._sessions: dict[int, Session] = {}
        self._jobs: dict[int, Session] = {}

    def run(self) -> int:
        """Runs until the host says stop; the exit code. Waits without turning while no sequence runs."""
        while True:
            for command in self._wire.waiting() if self._backend.busy else [self._next()]:
                if isinstance(command, Stop):
                    self._wire.send(
                        [report for session in self._sessions.values() for report in session.finish("cancelled")]
                    )
                    self._backend.finish(FINISH_S)
                    return 0
                self._wire.send(self._obey(command))
            if self._backend.busy and not self._step():
                return EXIT_FATAL

    def _next(self) -> Command:
        """Waits for the next command; the backend does its housekeeping meanwhile, piece by piece."""
        pause_s: float | None = REST_AFTER_S
        while (command := self._wire.next_within(pause_s)) is None:
            pause_s = self._backend.rest()
        return command

    def _obey(self, command: Command) -> list[Report]:
        match command:
            case Generate():
                return self._begin(command)
            case Cancel():
                return self._cancel(command.id)
            case Tokenize() | Detokenize():
                return [self._answer(command)]
            case GetStats():
                return [Stats(stats=self._backend.stats())]
            case _:
                raise ProtocolError(f"{type(command).__name__} is no command for a loaded model")

    def _begin(self, command: Generate) -> list[Report]:
        arrived = time.monotonic()
        try:
            prepared = self._preparer.prepare(command.request)
            self._backend.add(prepared.answers[0].job)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong fails this request alone
            return [RequestFailed(id=command.id, error=_explained(error))]
        session = Session(command.id, prepared, self._backend.vocabulary, arrived=arrived)
        self._sessions[command.id] = session
        self._jobs |= dict.fromkeys(session.jobs, session)
        return []

    def _answer(self, command: Tokenize | Detokenize) -> Report:
        try:
            if isinstance(command, Tokenize):
                return Tokenized(id=command.id, tokens=self._texts.tokens(command.request))
            return Detokenized(id=command.id, text=self._texts.text(command.tokens))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong fails this request alone
            return RequestFailed(id=command.id, error=_explained(error))

    def _cancel(self, identity: int) -> list[Report]:
        session = self._sessions.get(identity)
        if session is None:
            return []
        self._leave(session)
        return session.finish("cancelled")

    def _leave(self, session: Session) -> None:
        """Forgets a request and drops what of it still runs."""
        del self._sessions[session.id]
        for job in session.jobs:
            del self._jobs[job]
            self._backend.cancel(job)

    def _step(self) -> bool:
        """One step, and its reports in one write; false when the backend cannot go on."""
        before = time.monotonic()
        try:
            steps = self._backend.step()
        except Exception as error:  # noqa: BLE001 - the runtime's state is unknown now, whatever it was
            self._give_up(error)
            return False
        now = time.monotonic()
        reports: list[Report] = []
        for step in steps:
            session = self._jobs.get(step.id)
            if session is None:
                continue
            try:
                reports += session.take(step, before=before, now=now)
                if session.over(step.id):
                    self._backend.cancel(step.id)
                for job in session.due():
                    self._backend.add(job)
            except Exception as error:  # noqa: BLE001 - a fault in the text of one request fails it alone
                reports.append(session.fail(_explained(error)))
            if session.ended:
                self._leave(session)
        self._wire.send(reports)
        return True

    def _give_up(self, error: Exception) -> None:
        traceback.print_exc()
        died = WorkerDied(
            f"The runtime failed while it was generating ({type(error).__name__}): {error}",
            meaning="The model has to be loaded again.",
        )
        self._wire.send([session.fail(died.info) for session in self._sessions.values()])


def _explained(error: Exception) -> ErrorInfo:
    if isinstance(error, FootplateError):
        return error.info
    traceback.print_exception(error)
    return InternalError(f"The request failed in the worker ({type(error).__name__}): {error}").info
