"""Stop strings are found across chunks and never leak in part."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.text.stops import StopScanner


def scan(chunks: list[str], stops: list[str]) -> tuple[list[str], str, bool]:
    scanner = StopScanner(stops)
    return [scanner.feed(chunk) for chunk in chunks], scanner.flush(), scanner.stopped


def test_text_ends_before_the_stop_string_and_nothing_follows_it() -> None:
    assert scan(["one STOP two", " three"], ["STOP"]) == (["one ", ""], "", True)


def test_a_stop_string_across_chunks_is_never_shown_in_part() -> None:
    assert scan(["one ST", "O", "P two"], ["STOP"]) == (["one ", "", ""], "", True)


def test_only_the_longest_possible_beginning_is_held_back() -> None:
    assert scan(["aXab", "c"], ["abcabd"]) == (["aX", ""], "abc", False)


def test_what_was_held_back_comes_when_it_turns_out_to_be_text() -> None:
    assert scan(["ST", "ART"], ["STOP"])[0] == ["", "START"]


def test_the_stop_string_that_is_complete_first_counts() -> None:
    assert scan(["abcd"], ["abcd", "bc"]) == (["a"], "", True)
    assert scan(list("abcd"), ["abcd", "bc"]) == (["", "", "a", ""], "", True)


def test_empty_stop_strings_stop_nothing() -> None:
    assert scan(["text"], ["", ""]) == (["text"], "", False)


letters = st.text("abX", max_size=12)


@settings(deadline=None, max_examples=300)
@given(
    text=letters, stops=st.lists(st.text("abX", min_size=1, max_size=4), max_size=3), cuts=st.sets(st.integers(1, 11))
)
def test_any_cutting_gives_the_same_text(text: str, stops: list[str], cuts: set[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    chunks = [text[start:end] for start, end in itertools.pairwise(places)]
    shown, held, stopped = scan(chunks, stops)
    whole, whole_held, whole_stopped = scan([text], stops)
    assert stopped == whole_stopped
    assert "".join(shown) + held == "".join(whole) + whole_held
    assert not any(stop in "".join(shown) for stop in stops)
    if not stopped:
        assert "".join(shown) + held == text
