"""The sequences of a scripted worker, their slots, and what each step brings them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain, cycle
from typing import Literal

from engine.runtimes.scripted.script import Reply
from engine.worker.backend import Job, Logprob, Step


class Slot:
    """A place in the batch; remembers the tokens it last held."""

    def __init__(self) -> None:
        self.history: list[int] = []
        self.taken = False

    def shared(self, tokens: tuple[int, ...]) -> int:
        """How many tokens at the beginning of `tokens` the slot already holds."""
        pairs = enumerate(zip(self.history, tokens, strict=False))
        return next((place for place, (one, other) in pairs if one != other), min(len(self.history), len(tokens)))


class Sequence:
    """One generation in its slot."""

    def __init__(self, job: Job, reply: Reply, tokens: list[int], filler: list[int], slot: Slot) -> None:
        self.id = job.id
        self.slot = slot
        self.sampled = 0
        self._cached = min(slot.shared(job.tokens), len(job.tokens) - 1)
        self._prompt = job.tokens
        self._max_tokens = job.max_tokens
        self._top_logprobs = job.top_logprobs
        self._reply = reply
        goes_on = job.ignore_eos or reply.fault == "endless"
        self._tokens: Iterator[int] = chain(tokens, cycle(tokens or filler)) if goes_on else iter(tokens)
        self._prefilled: int | None = None
        self._started: float | None = None
        slot.taken = True
        slot.history = list(job.tokens)

    @property
    def fault(self) -> str | None:
        """The fault that is due now."""
        decoding = self._prefilled == len(self._prompt)
        due = decoding and self.sampled >= self._reply.after and self._reply.fault != "endless"
        return self._reply.fault if due else None

    def prefill(self, now: float, tok_per_s: float) -> Step | None:
        """Goes on with the prompt; its step, or `None` when the prompt has been computed before."""
        total = len(self._prompt)
        if self._prefilled == total:
            return None
        if self._started is None:
            self._started = now
        done = total if not tok_per_s else min(total, self._cached + int((now - self._started) * tok_per_s))
        self._prefilled = done
        return Step(id=self.id, prefilled=done, cached=self._cached)

    def decode(self) -> Step:
        """The next token, or the end."""
        token = next(self._tokens, None)
        if token is None:
            return Step(id=self.id, finish="stop")
        self.sampled += 1
        self.slot.history.append(token)
        finish: Literal["length"] | None = "length" if self.sampled >= self._max_tokens else None
        return Step(id=self.id, tokens=(token,), finish=finish, logprobs=self._certain(token))

    def _certain(self, token: int) -> tuple[Logprob, ...]:
        """A script is sure of its tokens."""
        if self._top_logprobs is None:
            return ()
        return (Logprob(token=token, logprob=0.0, top=((token, 0.0),)[: self._top_logprobs]),)


class Slots:
    """The batch: a fixed number of slots, and jobs that wait for one in the order in which they came."""

    def __init__(self, count: int) -> None:
        self.slots = [Slot() for _ in range(count)]
        self.waiting: deque[Job] = deque()
        self.running: dict[int, Sequence] = {}

    def next_job(self) -> tuple[Job, Slot] | None:
        """The job that may begin, with the free slot that shares the longest beginning with it."""
        free = [slot for slot in self.slots if not slot.taken]
        if not free or not self.waiting:
            return None
        job = self.waiting.popleft()
        return job, max(free, key=lambda slot: slot.shared(job.tokens))

    def leave(self, identity: int) -> None:
        """Takes a job out, running or waiting."""
        sequence = self.running.pop(identity, None)
        if sequence is not None:
            sequence.slot.taken = False
        self.waiting = deque(job for job in self.waiting if job.id != identity)
