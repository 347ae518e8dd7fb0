"""Guesses from what stood there before: what is proposed, how it is judged, and when it is worth computing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtimes.llama_cpp.guesses import Guesses, agreement
from engine.runtimes.llama_cpp.lookup import LEAST_MATCH, Chance, Guess, History, Judgement, worthwhile
from engine.runtimes.llama_cpp.pace import Pace
from engine.runtimes.llama_cpp.slots import Piece, Sequence, Slot
from engine.runtimes.llama_cpp.speculation import Speculation
from engine.runtimes.llama_cpp.step_costs import StepCosts
from engine.types import Sampling
from engine.worker.backend import Job


def history(tokens: list[int]) -> History:
    found = History()
    found.follow(tokens)
    return found


def test_what_followed_the_last_of_the_longest_matches_is_guessed() -> None:
    assert history([1, 2, 3, 4, 9, 2, 3, 7, 7, 1, 2, 3]).guess(2) == Guess((4, 9), 3)
    assert history([5, 1, 2, 8, 6, 1, 2, 9, 4, 1, 2]).guess(3) == Guess((9, 4, 1), 2)


def test_one_token_in_common_is_no_match() -> None:
    assert history([1, 2, 3, 2]).guess(4) is None
    assert history([]).guess(4) is None
    assert history([1, 2, 3, 1, 2]).guess(0) is None


def test_a_repetition_goes_on() -> None:
    assert history([9, 5, 6, 7, 5, 6, 7, 5, 6, 7]).guess(7) == Guess((5, 6, 7, 5, 6, 7, 5), 6)
    assert history([3, 3, 3, 3]).guess(3) == Guess((3, 3, 3), 3)


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 12))
def test_a_guess_follows_an_earlier_place_that_ends_alike(tokens: list[int], most: int) -> None:
    guess = history(tokens).guess(most)
    places = [
        end for end in range(LEAST_MATCH, len(tokens)) if tokens[end - LEAST_MATCH : end] == tokens[-LEAST_MATCH:]
    ]
    assert (guess is not None) == bool(places)
    if guess:
        assert len(guess.tokens) == most
        ends = [end for end in places if tokens[end - guess.matched : end] == tokens[-guess.matched :]]
        piece = tokens[ends[-1] :]
        assert guess.tokens == tuple(piece[index % len(piece)] for index in range(most))


@given(st.lists(st.integers(0, 4), max_size=1200), st.integers(0, 1200))
def test_a_history_that_grows_is_as_one_made_at_once(tokens: list[int], cut: int) -> None:
    grown = history(tokens[:cut])
    grown.follow(tokens)
    assert grown.guess(8) == history(tokens).guess(8)


def test_a_sequence_begins_with_the_models_experience_and_adds_to_it() -> None:
    experience = Judgement(fading=0.99)
    first = Judgement(experience, fading=0.9)
    for _ in range(30):
        first.note(2, 0, failed=True)
    assert first.rate(2) < 0.05
    assert experience.rate(2) < 0.1
    assert Judgement(experience, fading=0.9).rate(2) < 0.1
    assert experience.rate(8) == 0.5  # long matches are another matter


def test_old_experience_fades() -> None:
    judgement = Judgement(fading=0.9)
    for _ in range(50):
        judgement.note(2, 0, failed=True)
    for _ in range(10):
        judgement.note(2, 4, failed=False)
    assert judgement.rate(2) > 0.75


@pytest.mark.parametrize(
    ("drawn", "ended", "rate"),
    [
        ([3, 4, 9], False, (2 + 1) / (3 + 2)),  # two held, the third failed
        ([3], False, (1 + 1) / (1 + 2)),  # the guess went further than what was computed
        ([3, 4, 1, 2], False, (4 + 1) / (4 + 2)),
        ([3, 4], True, (2 + 1) / (3 + 2)),  # the end was not guessed
        ([], True, 1 / 3),
    ],
)
def test_a_guess_is_judged_as_far_as_the_text_goes(drawn: list[int], ended: bool, rate: float) -> None:
    experience = Judgement(fading=1.0)
    guesses = Guesses(4, experience)
    assert guesses.chance([1, 2, 3, 4, 1, 2], left=100) == Chance(0.5, 4)
    assert guesses.draft(2) == (3, 4)
    guesses.judge(drawn, ended=ended)
    assert experience.rate(2) == pytest.approx(rate)
    guesses.judge([3, 4], ended=False)
    assert experience.rate(2) == pytest.approx(rate), "a guess is judged once"


def test_no_more_is_guessed_than_may_still_come() -> None:
    guesses = Guesses(8, Judgement(fading=1.0))
    assert guesses.chance([1, 1, 1, 1], left=2) == Chance(0.5, 2)
    assert guesses.chance([1, 1, 1, 1, 1], left=0) is None


@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)))
def test_agreement(one: list[int], other: list[int]) -> None:
    count = agreement(one, other)
    assert one[:count] == other[:count]
    assert one[count : count + 1] != other[count : count + 1] or min(len(one), len(other)) == count


def test_where_wider_steps_cost_nothing_all_is_computed() -> None:
    assert worthwhile([Chance(0.5, 8)], 1, lambda _more: 1.0, 16) == [8]
    assert worthwhile([Chance(0.5, 8)], 1, lambda _more: 1.0, 3) == [3]


def test_where_they_cost_what_their_tokens_would_nothing_is() -> None:
    assert worthwhile([Chance(0.9, 8)], 1, lambda more: 1.0 + more, 16) == [0]


def test_a_dear_second_row_is_passed_over_where_more_rows_pay() -> None:
    def cost(more: int) -> float:
        return 1.0 if not more else 1.7 + 0.05 * more

    assert worthwhile([Chance(0.3, 8)], 1, cost, 16) == [0]
    assert worthwhile([Chance(0.95, 8)], 1, cost, 16) == [8]


def test_rows_go_to_the_sequence_that_guesses_better() -> None:
    counts = worthwhile([Chance(0.2, 8), Chance(0.95, 8)], 2, lambda more: 1 + 0.08 * more, 8)
    assert counts[1] > counts[0]


def test_many_others_are_not_slowed_down_for_one() -> None:
    def cost(more: int) -> float:
        return 1 + 0.3 * more

    assert worthwhile([Chance(0.9, 8)], 1, cost, 16)[0] > 0
    assert worthwhile([Chance(0.9, 8)], 8, cost, 16) == [0]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 8)), max_size=5),
    st.integers(0, 16),
    st.lists(st.floats(0.01, 10), min_size=17, max_size=17),
)
def test_never_more_than_there_is_or_room_for(chances: list[tuple[float, int]], room: int, costs: list[float]) -> None:
    counts = worthwhile([Chance(*each) for each in chances], max(1, len(chances)), lambda more: costs[more], room)
    assert sum(counts) <= room
    assert all(0 <= count <= most for count, (_, most) in zip(counts, chances, strict=True))


def test_costs_are_medians_and_neighbours_help_out() -> None:
    costs = StepCosts()
    for seconds in (1.0, 1.0, 9.0, 1.0, 1.0):
        costs.note(1, seconds)
    for _ in range(3):
        costs.note(5, 2.0)
    assert costs.seconds(1) == 1.0
    assert costs.seconds(3) == pytest.approx(1.5)
    assert 2.0 < costs.seconds(8) < 2.5


def test_what_was_measured_once_is_soon_tried_again_and_all_of_it_some_day() -> None:
    costs = StepCosts()
    for _ in range(200):
        costs.note(1, 1.0)
    costs.note(4, 30.0)
    assert costs.seconds(4) < 2, "something else may have held it up"
    costs.note(4, 30.0)
    assert costs.seconds(4) == 30.0
    for _ in range(100):
        costs.note(1, 1.0)
    assert costs.seconds(4) < 2
    for _ in range(600):
        costs.note(4, 1.5)
    assert costs.seconds(1) < 1.0  # the plain step is due: it is taken for cheap, so that it comes


def sequence(tokens: list[int], speculation: Speculation, **more: object) -> Sequence:
    job = Job(id=1, tokens=tuple(tokens), **{"max_tokens": 50, "sampling": Sampling(), **more})  # type: ignore[arg-type]
    return Sequence(job, lambda _row: 0, list(tokens), guesses=speculation.guesses(job))


def run(step_s: Callable[[int], float], steps: int, text: Callable[[int], int]) -> list[int]:
    """Decodes a text that `text` gives token by token; the numbers of guessed tokens that were computed."""
    speculation = Speculation(Pace(512), 16)
    running, found = sequence([text(place) for place in range(12)], speculation, max_tokens=10_000), []
    for _ in range(steps):
        now = len(running.tokens)
        (piece,) = speculation.extended([Piece(running, Slot(0), now - 1, now)], 512)
        coming = [text(now + place) for place in range(len(piece.draft) + 1)]
        drawn = coming[: agreement(piece.draft, coming) + 1]
        assert running.guesses is not None
        running.guesses.judge(drawn, ended=False)
        running.tokens += drawn
        speculation.measured([piece], step_s(len(piece.draft)))
        found.append(len(piece.draft))
    return found


def repeating(place: int) -> int:
    return place % 3


def misleading(place: int) -> int:
    """Every pair of tokens comes again, and is followed by something new."""
    return place if place % 3 == 2 else -1 - place % 3


def test_it_goes_on_where_it_pays_and_stops_where_the_steps_are_dear() -> None:
    cheap = run(lambda more: 1 + 0.02 * more, 100, repeating)
    dear = run(lambda more: 1 + 2.0 * more, 600, repeating)
    assert sum(each > 8 for each in cheap) > 90
    assert sum(each > 0 for each in dear) < 50, dear


def test_it_stops_where_guesses_fail() -> None:
    failing = run(lambda more: 1 + 0.1 * more, 100, misleading)
    assert any(failing[:10]) and not any(failing[50:])


def test_it_begins_again_when_guesses_hold_again() -> None:
    found = run(lambda more: 1 + 0.1 * more, 200, lambda place: misleading(place) if place < 100 else repeating(place))
    assert not any(found[60:90]) and all(found[-20:])


def test_it_is_off_without_rows_on_wish_and_for_a_seed() -> None:
    speculation = Speculation(Pace(512), 16)
    assert sequence([1], speculation).guesses is not None
    assert sequence([1], speculation, most_drafted=0).guesses is None
    assert sequence([1], speculation, sampling=Sampling(seed=1)).guesses is None
    assert sequence([1], speculation, sampling=Sampling(seed=1), most_drafted=4).guesses is not None
    assert sequence([1], Speculation(Pace(512), 0)).guesses is None


def test_a_step_stays_in_its_budget_and_prompts_keep_their_place() -> None:
    speculation = Speculation(Pace(64), 16)
    decoding, prompt = sequence([1, 2] * 9, speculation), sequence([5, 6] * 30, speculation)
    pieces = [Piece(decoding, Slot(0), 17, 18), Piece(prompt, Slot(1), 0, 58)]
    extended = speculation.extended(pieces, 64)
    assert 0 < len(extended[0].draft) <= 5
    assert extended[1] == pieces[1]
    assert speculation.extended(pieces, 59) == pieces
