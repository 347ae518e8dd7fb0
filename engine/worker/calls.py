"""What is asked of a worker and not answered yet."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque

from engine.errors import FootplateError, from_info
from engine.types import Output, Prefill, WorkerStats
from engine.worker.coalesce import Coalescer
from engine.worker.protocol import (
    Answer,
    Began,
    Detokenized,
    Embedded,
    Finished,
    Produced,
    Ranked,
    Report,
    RequestFailed,
    Stats,
    Tokenized,
)


class Generation:
    """The outputs of one generation that have come: a queue with one reader.

    What waits is coalesced, so that a slow reader holds up nobody and costs little.
    """

    def __init__(self) -> None:
        self._waiting = Coalescer()
        self._error: FootplateError | None = None
        self._arrived = asyncio.Event()

    def put(self, output: Output) -> None:
        """Adds an output."""
        self._waiting.put(output)
        self._arrived.set()

    def fail(self, error: FootplateError) -> None:
        """Ends the queue with an error, which is raised when everything before it has been taken."""
        self._error = error
        self._arrived.set()

    async def take(self) -> Output:
        """The next output; a `Finish` is the last. Raises the error that the generation ended with."""
        while not self._waiting:
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.take()


class Calls:
    """Open generations, other questions, and those for stats; reports are handed to the one they belong to."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._generations: dict[int, Generation] = {}
        self._questions: dict[int, asyncio.Future[Answer]] = {}
        self._stats: deque[asyncio.Future[WorkerStats]] = deque()

    def __len__(self) -> int:
        return len(self._generations) + len(self._questions)

    def ask(self) -> tuple[int, asyncio.Future[Answer]]:
        """A new question's id, and the answer that is to come."""
        identity = next(self._ids)
        answer = self._questions[identity] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _answer: self._questions.pop(identity, None))
        return identity, answer

    def open(self) -> tuple[int, Generation]:
        """A new generation and its id."""
        identity, generation = next(self._ids), Generation()
        self._generations[identity] = generation
        return identity, generation

    def drop(self, identity: int) -> bool:
        """Forgets a generation that nobody reads any more; whether it was open."""
        return self._generations.pop(identity, None) is not None

    def ask_stats(self) -> asyncio.Future[WorkerStats]:
        """The answer to a `GetStats` that is about to be sent; they are answered in order."""
        answer: asyncio.Future[WorkerStats] = asyncio.get_running_loop().create_future()
        self._stats.append(answer)
        return answer

    def hear(self, report: Report) -> None:
        """Takes a report. One for a generation that was dropped is ignored."""
        match report:
            case Produced():
                self._put(report.id, report.output)
            case Began(cached_tokens=cached):
                self._put(report.id, Prefill(done=cached, total=report.prompt_tokens, cached=cached))
            case Finished():
                self._put(report.id, report.finish)
                self.drop(report.id)
            case RequestFailed() if report.id in self._generations:
                self._generations.pop(report.id).fail(from_info(report.error))
            case RequestFailed() if report.id in self._questions:
                _settle(self._questions[report.id], from_info(report.error))
            case Tokenized() | Detokenized() | Embedded() | Ranked() if report.id in self._questions:
                _settle(self._questions[report.id], report)
            case Stats() if self._stats:
                answer = self._stats.popleft()
                if not answer.done():
                    answer.set_result(report.stats)

    def fail(self, error: FootplateError) -> None:
        """Ends everything that is open with `error`."""
        while self._generations:
            self._generations.popitem()[1].fail(error)
        while self._stats:
            answer = self._stats.popleft()
            if not answer.done():
                answer.set_exception(error)
        for question in tuple(self._questions.values()):
            _settle(question, error)

    def _put(self, identity: int, output: Output) -> None:
        if identity in self._generations:
            self._generations[identity].put(output)


def _settle(question: asyncio.Future[Answer], outcome: Answer | FootplateError) -> None:
    if question.done():
        return
    if isinstance(outcome, FootplateError):
        question.set_exception(outcome)
    else:
        question.set_result(outcome)
