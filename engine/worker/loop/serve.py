"""Generations: requests become sequences, and every step of the backend becomes reports."""

from __future__ import annotations

import time
import traceback

from engine.errors import Unsupported, WorkerDied
from engine.worker.backend import Backend
from engine.worker.loop.prepare import Preparer
from engine.worker.loop.session import Session
from engine.worker.loop.texts import Texts
from engine.worker.loop.turns import attempted, explained
from engine.worker.loop.wire import Wire
from engine.worker.protocol import (
    Cancel,
    Command,
    Detokenize,
    Detokenized,
    Embed,
    Generate,
    GetStats,
    ProtocolError,
    Report,
    RequestFailed,
    Rerank,
    Stats,
    Tokenize,
    Tokenized,
)

FINISH_S = 3.0
"""What the backend may take to save at the end; below the grace that `WorkerHandle.stop` gives."""


class Loop:
    """Serves one loaded model. Requests join and leave between steps; a fault in one leaves the others alone."""

    def __init__(self, backend: Backend, wire: Wire, preparer: Preparer) -> None:
        self._backend = backend
        self._wire = wire
        self._preparer = preparer
        self._texts = Texts(backend.vocabulary, preparer)
        self._sessions: dict[int, Session] = {}
        self._jobs: dict[int, Session] = {}

    @property
    def busy(self) -> bool:
        """Whether any sequence runs or waits."""
        return self._backend.busy

    def rest(self) -> float | None:
        """The backend's housekeeping."""
        return self._backend.rest()

    def end(self) -> list[Report]:
        """Every request finishes as cancelled."""
        return [report for session in self._sessions.values() for report in session.finish("cancelled")]

    def finish(self) -> None:
        """The backend saves what should outlive the process."""
        self._backend.finish(FINISH_S)

    def obey(self, command: Command) -> list[Report]:
        """Begins, cancels and answers."""
        match command:
            case Generate():
                return self._begin(command)
            case Cancel():
                return self._cancel(command.id)
            case Tokenize() | Detokenize():
                return [attempted(command.id, lambda: self._answer(command))]
            case Embed() | Rerank():
                return [RequestFailed(id=command.id, error=_continues_text(command).info)]
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
            return [RequestFailed(id=command.id, error=explained(error))]
        session = Session(command.id, prepared, self._backend.vocabulary, arrived=arrived)
        self._sessions[command.id] = session
        self._jobs |= dict.fromkeys(session.jobs, session)
        return []

    def _answer(self, command: Tokenize | Detokenize) -> Report:
        if isinstance(command, Tokenize):
            return Tokenized(id=command.id, tokens=self._texts.tokens(command.request))
        return Detokenized(id=command.id, text=self._texts.text(command.tokens))

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

    def step(self) -> bool:
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
                reports.append(session.fail(explained(error)))
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


def _continues_text(command: Embed | Rerank) -> Unsupported:
    what = "makes no vectors" if isinstance(command, Embed) else "scores no documents"
    return Unsupported(
        f"This model continues text and {what}.",
        remedy="Choose a model made for that: GET /v1/models says the kind of each.",
        param="model",
    )
