"""One request in the child, from its jobs to its last frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.errors import ErrorInfo
from engine.types import Delta, Finish, FinishReason, Prefill, Timings, Usage
from engine.worker.backend import Job, Step, Vocabulary
from engine.worker.loop.answer import Answer
from engine.worker.loop.prepare import Prepared
from engine.worker.protocol import Began, Finished, Produced, Report, RequestFailed


class Session:
    """Turns the steps of a request's sequences into reports. Times are those of a monotonic clock, in seconds.

    Of several answers the first computes the prompt; the others begin when it has, and find it cached.
    """

    def __init__(self, identity: int, prepared: Prepared, vocabulary: Vocabulary, *, arrived: float) -> None:
        self.id = identity
        self.ended = False
        """The last frame has been made."""
        self._answers = [Answer(answer, vocabulary, choice) for choice, answer in enumerate(prepared.answers)]
        self._by_job = {answer.job.id: answer for answer in self._answers}
        self._prompt = len(self._answers[0].job.tokens)
        self._unbegun = [answer.job for answer in self._answers[1:]]
        self._arrived = arrived
        self._started: float | None = None
        self._first: float | None = None
        self._last: float | None = None
        self._cached = 0

    @property
    def jobs(self) -> Sequence[int]:
        """The ids of all its jobs."""
        return tuple(self._by_job)

    def due(self) -> list[Job]:
        """Jobs that may begin now that the prompt has been computed; each is given once."""
        if self._first is None or self.ended:
            return []
        jobs, self._unbegun = self._unbegun, []
        return jobs

    def take(self, step: Step, *, before: float, now: float) -> list[Report]:
        """The reports for a step that ran from `before` to `now`."""
        reports: list[Report] = []
        answer = self._by_job[step.id]
        if answer.reason is not None:
            return []
        if self._started is None:
            self._started, self._cached = before, step.cached
            reports.append(Began(id=self.id, prompt_tokens=self._prompt, cached_tokens=step.cached))
            reports += self._produced(delta for each in self._answers for delta in each.begin())
        if step.error is not None:
            return [*reports, self.fail(step.error)]
        if step.prefilled is not None and answer is self._answers[0]:
            note = Prefill(done=step.prefilled, total=self._prompt, cached=self._cached)
            reports.append(Produced(id=self.id, output=note))
        if step.tokens:
            self._last = now
        if self._first is None and (step.tokens or step.finish):
            self._first = now
        reports += self._produced(answer.take(step))
        if answer.reason is not None and len(self._answers) > 1:
            done = Delta(choice=self._answers.index(answer), finish=answer.reason)
            reports.append(Produced(id=self.id, output=done))
        if all(each.reason is not None for each in self._answers):
            reports.append(self._finished(self._answers[0].reason or "stop"))
        return reports

    def over(self, job: int) -> bool:
        """Whether the answer of that job is complete."""
        return self.ended or self._by_job[job].reason is not None

    def finish(self, reason: FinishReason) -> list[Report]:
        """The last reports of a request that ends early; what was held back is told first."""
        rest = [delta for each in self._answers if each.reason is None for delta in each.end(reason)]
        return [*self._produced(rest), self._finished(reason)]

    def fail(self, error: ErrorInfo) -> Report:
        """The last report of a generation that went wrong."""
        self.ended = True
        return RequestFailed(id=self.id, error=error)

    def _finished(self, reason: FinishReason) -> Report:
        self.ended = True
        sampled = sum(answer.sampled for answer in self._answers)
        usage = Usage(
            prompt_tokens=self._prompt,
            completion_tokens=sampled,
            cached_tokens=self._cached,
            drafted_tokens=sum(answer.drafted for answer in self._answers),
            accepted_tokens=sum(answer.accepted for answer in self._answers),
        )
        return Finished(id=self.id, finish=Finish(reason=reason, usage=usage, timings=self._timings()))

    def _produced(self, deltas: Iterable[Delta]) -> list[Report]:
        return [Produced(id=self.id, output=delta) for delta in deltas]

    def _timings(self) -> Timings:
        if self._started is None:
            return Timings()
        queued = self._started - self._arrived
        if self._first is None or self._last is None:
            return Timings(queued_s=queued)
        return Timings(queued_s=queued, prefill_s=self._first - self._started, decode_s=self._last - self._first)
