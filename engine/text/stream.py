"""One answer on its way from token ids to typed deltas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from engine.text.detokenize import Detokenizer
from engine.text.reasoning import ReasoningSplitter
from engine.text.stops import StopScanner
from engine.text.tool_calls import Piece, Thought, ToolCallParser
from engine.types import Delta


class TextStream:
    """Detokenizes, splits off reasoning, reads tool calls, and ends at stop strings.

    Stop strings are looked for in the answer's text, not in reasoning or in arguments. However the tokens are cut into
    steps, the deltas join to the same whole.
    """

    def __init__(
        self,
        piece: Callable[[int], bytes],
        *,
        reasoning: ReasoningSplitter | None = None,
        tools: ToolCallParser | None = None,
        stops: Iterable[str] = (),
        visible: Mapping[int, bytes] | None = None,
        several: bool = True,
    ) -> None:
        """`visible`: the control tokens that reasoning and calls are marked by, with their spellings.

        Without `several`, the answer is over where a second call begins.
        """
        self._detokenizer = Detokenizer(piece, visible)
        self._reasoning = reasoning
        self._tools = tools
        self._stops = StopScanner(stops)
        self._several = several
        self._enough = False
        self.called = False
        """A tool was called."""

    @property
    def stopped(self) -> bool:
        """A stop string was met, or one call more than is wanted: the generation is over."""
        return self._stops.stopped or self._enough

    @property
    def unsure(self) -> str:
        """The end of the text so far that a stop string holds back, or has dropped."""
        return self._stops.unsure

    def feed(self, tokens: Iterable[int]) -> list[Delta]:
        """What is certain with `tokens`, in its order."""
        return self._read(self._detokenizer.feed(tokens))

    def prime(self, text: str) -> list[Delta]:
        """Takes `text` as the beginning of the answer: a forced tool call stands in the prompt already."""
        return self._answer(text)

    def close(self) -> list[Delta]:
        """What was held back, at the end of the answer."""
        if self.stopped:
            return []
        deltas = self._read(self._detokenizer.close())
        if self._reasoning is not None:
            thought, answer = self._reasoning.close()
            deltas += self._parts(thought, answer)
        if self._tools is not None:
            deltas += self._pieces(self._tools.close())
        return deltas + _text(self._stops.flush())

    def _read(self, text: str) -> list[Delta]:
        if not text or self.stopped:
            return []
        if self._reasoning is None:
            return self._answer(text)
        return self._parts(*self._reasoning.feed(text))

    def _parts(self, thought: str, answer: str) -> list[Delta]:
        thoughts = [Delta(reasoning=thought)] if thought else []
        return thoughts + self._answer(answer)

    def _answer(self, text: str) -> list[Delta]:
        if not text:
            return []
        if self._tools is None:
            return _text(self._stops.feed(text))
        return self._pieces(self._tools.feed(text))

    def _pieces(self, pieces: Iterable[Piece]) -> list[Delta]:
        deltas: list[Delta] = []
        for piece in pieces:
            if self.stopped:
                break
            if isinstance(piece, str):
                deltas += _text(self._stops.feed(piece))
                continue
            deltas += _text(self._stops.flush())
            if isinstance(piece, Thought):
                deltas.append(Delta(reasoning=piece.text))
            elif piece.index and not self._several:
                self._enough = True
            else:
                deltas.append(Delta(tool_calls=(piece,)))
                self.called = True
        return deltas


def _text(text: str) -> list[Delta]:
    return [Delta(text=text)] if text else []
