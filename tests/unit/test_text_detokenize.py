"""Characters that are cut by token boundaries come out whole."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.text.detokenize import Detokenizer


def detokenize(chunks: list[bytes]) -> tuple[list[str], str]:
    detokenizer = Detokenizer(lambda token: chunks[token])
    shown = [detokenizer.feed([token]) for token in range(len(chunks))]
    return shown, detokenizer.close()


def test_half_a_character_is_held_until_the_other_half_comes() -> None:
    assert detokenize([b"Gr\xc3", b"\xbc\xc3", b"\x9fe"]) == (["Gr", "ü", "ße"], "")


def test_bytes_that_are_no_utf8_become_replacement_characters_and_what_follows_is_kept() -> None:
    assert detokenize([b"a\xff", b"b"]) == (["a\ufffd", "b"], "")


def test_a_character_that_stays_incomplete_is_replaced_at_the_end_only() -> None:
    assert detokenize([b"a\xf0\x9f"]) == (["a"], "\ufffd")


@settings(deadline=None)
@given(data=st.one_of(st.binary(), st.text().map(str.encode)), cuts=st.lists(st.integers(0, 40)))
def test_any_cutting_gives_what_the_whole_gives(data: bytes, cuts: list[int]) -> None:
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    chunks = [data[start:end] for start, end in itertools.pairwise(places)]
    shown, rest = detokenize(chunks)
    assert "".join(shown) + rest == data.decode("utf-8", "replace")
