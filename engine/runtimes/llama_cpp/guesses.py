"""The guesses of one sequence: made before a step, and judged after it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.runtimes.llama_cpp.lookup import Chance, Guess, History, Judgement

_FADING = 0.9
"""What a new guess leaves of a sequence's older experience: about the last ten count."""


class Guesses:
    """Looks ahead in one sequence. Guesses are judged whether they were computed or not, so it is known when to begin
    again."""

    def __init__(self, most: int, experience: Judgement) -> None:
        """`most` tokens for a guess; `experience` is the model's, and grows with this one."""
        self._most = most
        self._history = History()
        self._judgement = Judgement(experience, fading=_FADING)
        self._guess: Guess | None = None

    def chance(self, tokens: list[int], left: int) -> Chance | None:
        """Makes a guess of what follows `tokens`, of which at most `left` can be of use; `None` for no idea."""
        self._history.follow(tokens)
        self._guess = guess = self._history.guess(min(self._most, left))
        return Chance(self._judgement.rate(guess.matched), len(guess.tokens)) if guess else None

    def draft(self, count: int) -> tuple[int, ...]:
        """The first tokens of the guess."""
        return self._guess.tokens[:count] if self._guess else ()

    def judge(self, drawn: Sequence[int], *, ended: bool) -> None:
        """Compares the guess with the tokens that came; `ended` says that the end came after them."""
        guess, self._guess = self._guess, None
        if guess is None:
            return
        held = agreement(guess.tokens, drawn)
        failed = held < len(guess.tokens) and (held < len(drawn) or ended)
        self._judgement.note(guess.matched, held, failed=failed)


def agreement(guessed: Sequence[int], drawn: Sequence[int]) -> int:
    """How many of the first tokens are the same."""
    count = 0
    for one, other in zip(guessed, drawn, strict=False):
        if one != other:
            break
        count += 1
    return count
