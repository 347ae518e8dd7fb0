"""Separates what a model thinks from what it answers."""

from __future__ import annotations

from msgspec import Struct

from engine.text.stops import partial_suffix


class Marks(Struct, frozen=True, kw_only=True):
    """The words that enclose the reasoning of a model."""

    open: str
    close: str
    token: str = ""
    """The token that `open` begins with, where it is more than that."""
    taught: str = ""
    """How templates spell `open`, where they put it together."""

    @property
    def markers(self) -> tuple[str, ...]:
        """The words as they may be in a vocabulary: some of these are control tokens."""
        return (self.token or self.open, self.close)

    def known_to(self, template: str) -> bool:
        """Whether a template (Jinja source) has these words."""
        return (self.taught or self.open.rstrip()) in template

    def opened_by(self, prompt: str) -> bool:
        """Whether the rendered prompt already ends inside the reasoning, as some templates have it."""
        return prompt.rstrip().endswith(self.open.rstrip())


THINK = Marks(open="<think>", close="</think>")


def choose(template: str) -> Marks:
    """The words that `template` (Jinja source) has for reasoning; `<think>` when it says nothing of any.

    A model may think though its template knows nothing of it, and nearly all that do write `<think>`.
    """
    known = (
        Marks(open="<seed:think>", close="</seed:think>"),
        Marks(open="<think:opensource>", close="</think:opensource>", taught="<think{}>"),
        Marks(open="<mm:think>", close="</mm:think>"),
        Marks(open="[THINK]", close="[/THINK]"),
        Marks(open="<|START_THINKING|>", close="<|END_THINKING|>"),
        Marks(open="<|inner_prefix|>", close="<|inner_suffix|>"),
        Marks(open="<|channel>thought\n", close="<channel|>", token="<|channel>"),  # noqa: S106 - no password
        Marks(
            open="Here are my reasoning steps:\n",
            close="[BEGIN FINAL RESPONSE]",
            taught="'Here are my reasoning steps:\\n'",
        ),
        THINK,
        Marks(open="<thinking>", close="</thinking>"),
        Marks(open="<reasoning>", close="</reasoning>"),
    )
    return next((marks for marks in known if marks.known_to(template)), THINK)


class ReasoningSplitter:
    """Splits the reasoning off the beginning of an answer.

    Only a block that begins the answer counts: the tag in the middle of a text is text. White space around the
    reasoning and before the answer is dropped. Reasoning that never ends is reasoning to the end.
    """

    def __init__(self, *, opened: bool, marks: Marks = THINK) -> None:
        self._open, self._close = marks.open, marks.close
        self._state = "reasoning" if opened else "start"
        self._held = ""
        self._begun = False

    def feed(self, text: str) -> tuple[str, str]:
        """New reasoning and new answer text."""
        if self._state == "answer":
            return "", text
        self._held += text
        if self._state == "start" and not self._enter():
            return "", self._release() if self._state == "answer" else ""
        reasoning = self._think() if self._state == "reasoning" else ""
        return reasoning, self._release() if self._state in ("gap", "answer") else ""

    def close(self) -> tuple[str, str]:
        """What was held back, at the end of the answer."""
        held, self._held = self._held, ""
        if self._state == "reasoning":
            return (held if self._begun else held.lstrip()).rstrip(), ""
        return "", "" if self._state == "gap" else held

    def _enter(self) -> bool:
        start = self._held.lstrip()
        if start.startswith(self._open):
            self._state, self._held = "reasoning", start[len(self._open) :]
            return True
        if not self._open.startswith(start):
            self._state = "answer"
        return False

    def _think(self) -> str:
        if not self._begun:
            self._held = self._held.lstrip()
        thought, closed, rest = self._held.partition(self._close)
        if closed:
            self._state, self._held = "gap", rest
            return thought.rstrip()
        cut = len(thought) - partial_suffix(thought, self._close)
        cut = len(thought[:cut].rstrip())
        self._held = thought[cut:]
        self._begun = self._begun or cut > 0
        return thought[:cut]

    def _release(self) -> str:
        if self._state == "gap":
            self._held = self._held.lstrip()
            if self._held:
                self._state = "answer"
        held, self._held = self._held, ""
        return held
