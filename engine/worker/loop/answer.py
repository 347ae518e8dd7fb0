"""One answer of a request in the child: from the steps of its sequence to deltas."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec.structs import replace

from engine.types import Delta, FinishReason, TokenLogprob
from engine.worker.backend import Logprob, Step, Vocabulary
from engine.worker.coalesce import Coalescer
from engine.worker.loop.prepare import PreparedAnswer


class Answer:
    """Deltas of one choice. Log probabilities go out with the text they belong to, those of a stop string never."""

    def __init__(self, prepared: PreparedAnswer, vocabulary: Vocabulary, choice: int) -> None:
        self.job = prepared.job
        self.reason: FinishReason | None = None
        """Why it ended, once it has."""
        self.sampled = 0
        self.drafted = self.accepted = 0
        """Tokens that were guessed ahead, and how many of them are in the answer."""
        self._stream = prepared.stream
        self._vocabulary = vocabulary
        self._choice = choice
        self._untold = 0
        self._pending: deque[TokenLogprob] = deque()
        self._begun = prepared.begun

    def begin(self) -> list[Delta]:
        """What the answer begins with already."""
        return self._produced(self._begun)

    def take(self, step: Step) -> list[Delta]:
        """What the tokens of a step bring; `reason` is set with the last ones."""
        deltas: list[Delta] = []
        if step.tokens:
            before = self.sampled
            deltas = self._produced(self._fed(step))
            self.accepted += min(step.accepted, self.sampled - before)
        self.drafted += step.drafted
        if self._stream.stopped or step.finish is not None:
            deltas += self.end("length" if step.finish == "length" and not self._stream.stopped else "stop")
        return deltas

    def _fed(self, step: Step) -> list[Delta]:
        """What the stream makes of the tokens; those behind a stop string, which came in the same step, are dropped."""
        deltas: list[Delta] = []
        for index, token in enumerate(step.tokens):
            if self._stream.stopped:
                break
            self.sampled += 1
            self._untold += 1
            self._pending.extend(map(self._told, step.logprobs[index : index + 1]))
            deltas += self._stream.feed((token,))
        return deltas

    def end(self, reason: FinishReason) -> list[Delta]:
        """What was held back, told first."""
        deltas = self._produced(self._stream.close(), last=True)
        self.reason = "tool_calls" if reason == "stop" and self._stream.called else reason
        return deltas

    def _produced(self, deltas: Iterable[Delta], *, last: bool = False) -> list[Delta]:
        waiting = Coalescer()
        for delta in deltas:
            waiting.put(replace(delta, choice=self._choice) if self._choice else delta)
        logprobs = self._certain(last=last) if waiting or last else ()
        if (self._untold or logprobs) and (waiting or last):
            waiting.put(Delta(tokens=self._untold, logprobs=logprobs, choice=self._choice))
            self._untold = 0
        found: list[Delta] = []
        while waiting:
            output = waiting.take()
            if isinstance(output, Delta):
                found.append(output)
        return found

    def _certain(self, *, last: bool) -> tuple[TokenLogprob, ...]:
        """The log probabilities of tokens whose text is not held back; at the end all but those of a stop string."""
        unsure = "" if last and not self._stream.stopped else self._stream.unsure
        keep = len(unsure.encode())
        later: deque[TokenLogprob] = deque()
        while self._pending and keep > 0:
            keep -= len(self._pending[-1].piece)
            if keep >= 0 or not self._stream.stopped:
                later.appendleft(self._pending.pop())
        certain = tuple(self._pending)
        self._pending = later
        return certain

    def _told(self, found: Logprob) -> TokenLogprob:
        top = tuple(TokenLogprob(piece=self._bytes(token), logprob=likely) for token, likely in found.top)
        return TokenLogprob(piece=self._bytes(found.token), logprob=found.logprob, top=top)

    def _bytes(self, token: int) -> bytes:
        return self._vocabulary.piece(token) or self._vocabulary.spelling(token).encode()
