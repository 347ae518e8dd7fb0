"""Joins outputs that wait, so that a slow reader costs memory for text and not for frames."""

from __future__ import annotations

from collections import deque
from itertools import groupby

from engine.types import Delta, Finish, FinishReason, Output, Prefill, TokenLogprob, ToolCallDelta


class _Pile:
    """Deltas of one choice that may be joined: reasoning comes before text, and text before tool calls."""

    def __init__(self, choice: int) -> None:
        self.choice = choice
        self._logprobs: list[TokenLogprob] = []
        self._finish: FinishReason | None = None
        self._reasoning: list[str] = []
        self._text: list[str] = []
        self._calls: list[ToolCallDelta] = []
        self._tokens = 0

    def add(self, delta: Delta) -> bool:
        """Takes `delta` in, unless joining would change the order of what was said."""
        if self._finish is not None:
            return False
        if (self._calls and (delta.text or delta.reasoning)) or (self._text and delta.reasoning):
            return False
        if delta.reasoning:
            self._reasoning.append(delta.reasoning)
        if delta.text:
            self._text.append(delta.text)
        self._calls += delta.tool_calls
        self._tokens += delta.tokens
        self._logprobs += delta.logprobs
        self._finish = delta.finish
        return True

    def joined(self) -> Delta:
        """All of it as one delta."""
        calls = tuple(_join(list(pieces)) for _, pieces in groupby(self._calls, key=lambda call: call.index))
        return Delta(
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            tool_calls=calls,
            tokens=self._tokens,
            logprobs=tuple(self._logprobs),
            choice=self.choice,
            finish=self._finish,
        )


class Coalescer:
    """A queue of outputs. Neighbouring deltas become one, of neighbouring prefill notes the newest stays."""

    def __init__(self) -> None:
        self._waiting: deque[_Pile | Prefill | Finish] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, output: Output) -> None:
        """Adds an output."""
        last = self._waiting[-1] if self._waiting else None
        if isinstance(output, Delta):
            if not self._joined(output):
                pile = _Pile(output.choice)
                pile.add(output)
                self._waiting.append(pile)
            return
        if isinstance(output, Prefill) and isinstance(last, Prefill):
            self._waiting.pop()
        self._waiting.append(output)

    def _joined(self, delta: Delta) -> bool:
        """Adds `delta` to the last pile of its choice; other choices' piles may come between."""
        for pile in reversed(self._waiting):
            if not isinstance(pile, _Pile):
                return False
            if pile.choice == delta.choice:
                return pile.add(delta)
        return False

    def take(self) -> Output:
        """Removes the oldest; raises `IndexError` when there is none."""
        oldest = self._waiting.popleft()
        return oldest.joined() if isinstance(oldest, _Pile) else oldest


def _join(pieces: list[ToolCallDelta]) -> ToolCallDelta:
    first = pieces[0]
    arguments = "".join(piece.arguments for piece in pieces)
    return ToolCallDelta(index=first.index, id=first.id, name=first.name, arguments=arguments)
