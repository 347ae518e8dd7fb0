"""Markdown of models: cut the same however it arrives, never wider than the room, nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.markdown.pieces import CODE_LINES, PIECE_CHARACTERS, Cutter, Piece
from tui.markdown.render import render
from tui.markdown.tables import column_widths

PARTS = [
    "# Heading\n\n",
    "Some *words* of `text` that go on and on, until the line is full.\n",
    "\n",
    "- an item\n",
    "- [ ] a task with **strong** text\n",
    "  - an inner item\n",
    "3. a numbered one\n",
    "> a quotation\n",
    "```python\n",
    "```\n",
    "    x = [1, 2, 3]  # code\n",
    "| a | b |\n|---|--:|\n",
    "| one cell | 漢字の列 |\n",
    "---\n",
    "A title\n===\n",
    "[a link](https://a.example) ![i](b.png) <https://c.example>\n",
    "<b>no html</b>\n",
    "\ttab\n",
    "👩‍👩‍👧 e\u0301 مرحبا\n",
]
texts = st.lists(st.sampled_from(PARTS), max_size=160).map("".join)


def pieces(text: str, size: int) -> list[Piece]:
    """The pieces of a text that arrives in parts of `size` characters."""
    cutter, closed, rest = Cutter(), [], None
    for at in range(0, len(text), size):
        more, rest = cutter.grow(text[at : at + size])
        closed += more
    return [*closed, *([rest] if rest else [])]


def lines(text: str, width: int) -> list[str]:
    return [line.plain.rstrip() for line in render(text, width)]


@settings(max_examples=60, deadline=None)
@given(text=texts, size=st.sampled_from([1, 7, 100]))
def test_a_text_is_cut_the_same_however_it_arrives(text: str, size: int) -> None:
    assert pieces(text, size) == pieces(text, len(text) or 1)


@settings(max_examples=60, deadline=None)
@given(text=texts, width=st.integers(8, 100))
def test_no_line_is_wider_than_the_room(text: str, width: int) -> None:
    for piece in pieces(text, 10_000):
        for line in render(piece.text, width):
            assert line.cell_length <= max(width, 8) + deepest_indent(text), line.plain


def deepest_indent(text: str) -> int:
    """Nesting beyond the narrowest width is let out rather than squeezed to nothing."""
    return 12 if any(part in text for part in ("- ", "> ", "3. ")) else 0


@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.text("abcxyz", min_size=1, max_size=12), min_size=1, max_size=400))
def test_no_word_is_lost(words: list[str]) -> None:
    shown = " ".join(" ".join(lines(piece.text, 40)) for piece in pieces(" ".join(words), 50))
    assert shown.split() == words


@pytest.mark.parametrize("kind", ["code", "list", "paragraphs", "quote", "table"])
def test_pieces_stay_small_where_they_can(kind: str) -> None:
    text = {
        "code": "```python\n" + "value = compute(1, 2)\n" * 500 + "```\n",
        "list": "- an item of the list\n" * 500,
        "paragraphs": "A sentence.\n\n" * 500,
        "quote": "> quoted\n\n" * 500,
        "table": "| a | b |\n|---|---|\n| 1 | 2 |\n\n" * 200,
    }[kind]
    cut = pieces(text, 37)
    assert max(len(piece.text) for piece in cut) < 2 * PIECE_CHARACTERS
    one_by_one = [line for piece in cut for line in lines(piece.text, 60) if line]
    assert one_by_one == [line for line in lines(text, 60) if line]


def test_a_long_block_of_code_stays_code_without_gaps() -> None:
    text = (
        "Before.\n\n```python\n" + "".join(f"line_{number} = {number}\n" for number in range(100)) + "```\n\nAfter.\n"
    )
    cut = pieces(text, 11)
    assert [piece.gap for piece in cut[:-1]] == [True, *[False] * (len(cut) - 2)]
    assert all(piece.text.startswith("```python\n") for piece in cut[1:])
    shown = [line for piece in cut for line in lines(piece.text, 60)]
    assert [line.strip() for line in shown if "line_" in line] == [f"line_{number} = {number}" for number in range(100)]
    assert len(cut[1].text.splitlines()) == CODE_LINES + 1
    assert shown[-1] == "After."


def test_lists_nest_and_count() -> None:
    assert lines("9. nine\n10. ten\n\n    more\n\n- a\n  - b\n    - c", 40) == [
        " 9. nine", "", "10. ten", "", "    more", "", "• a", "  ◦ b", "    ▪ c",
    ]  # fmt: skip


def test_tables_hug_their_cells_and_fit_the_room() -> None:
    table = "| Name | Size |\n|:--|--:|\n| guide | 6 MiB |\n| a long name of a model | 4.3 GiB |\n"
    assert lines(table, 60) == [
        " Name                   │    Size", "────────────────────────┼─────────",
        " guide                  │   6 MiB", " a long name of a model │ 4.3 GiB",
    ]  # fmt: skip
    assert max(map(len, lines(table, 24))) <= 24
    assert "a long" in " ".join(lines(table, 24))


def test_a_table_with_too_many_columns_becomes_lines() -> None:
    table = (
        "|"
        + "".join(f" c{n} |" for n in range(20))
        + "\n|"
        + "---|" * 20
        + "\n|"
        + "".join(f" v{n} |" for n in range(20))
    )
    shown = lines(table, 40)
    assert shown[:2] == ["c0: v0", "c1: v1"]
    assert len(shown) == 20


@given(
    lengths=st.lists(st.lists(st.integers(0, 90), min_size=3, max_size=3), min_size=1, max_size=6),
    width=st.integers(20, 120),
)
def test_columns_share_the_room(lengths: list[list[int]], width: int) -> None:
    widths = column_widths(lengths, width)
    assert sum(widths) + 3 * 3 - 1 <= width or set(widths) == {4}
    natural = [max(4, *column) for column in zip(*lengths, strict=True)]
    assert all(got <= wanted for got, wanted in zip(widths, natural, strict=True))
    if sum(natural) + 8 <= width:
        assert widths == natural


def test_links_say_where_they_lead_and_html_is_text() -> None:
    shown = " ".join(
        lines("[docs](https://d.example) ![chart](c.png) <https://a.example> <b>x</b>\n\n<div>y</div>", 90)
    )
    assert shown == ("docs (https://d.example) [image: chart] (c.png) https://a.example <b>x</b>  <div>y</div>")


def test_an_unknown_language_is_plain_code() -> None:
    assert lines("```no-such-language\nx = 1\n```", 20) == [" x = 1"]
    assert lines("```[/bold]\nx = 1\n```", 20) == [" x = 1"]
