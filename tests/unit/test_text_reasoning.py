"""Reasoning is told apart from the answer, however the text is cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.text.reasoning import THINK, ReasoningSplitter, choose


def split(chunks: list[str], *, opened: bool = False) -> tuple[str, str]:
    splitter = ReasoningSplitter(opened=opened)
    parts = [*(splitter.feed(chunk) for chunk in chunks), splitter.close()]
    return "".join(thought for thought, _ in parts), "".join(answer for _, answer in parts)


@pytest.mark.parametrize(
    ("text", "opened", "thought", "answer"),
    [
        ("<think>\nHm.\n</think>\n\nYes.", False, "Hm.", "Yes."),
        ("\n<think>Hm.</think>Yes.", False, "Hm.", "Yes."),
        ("Hm, let me see.\n</think>\n\nYes.", True, "Hm, let me see.", "Yes."),
        ("<think>\n\n</think>\n\nYes.", False, "", "Yes."),
        ("<think>never ends ", False, "never ends", ""),
        ("Yes.\n<think>is a tag</think>", False, "", "Yes.\n<think>is a tag</think>"),
        ("  Yes. ", False, "", "  Yes. "),
        ("<thin", False, "", "<thin"),
        ("two\n\nparagraphs</think>Yes", True, "two\n\nparagraphs", "Yes"),
        ("a </think", True, "a </think", ""),
        ("", False, "", ""),
        ("", True, "", ""),
    ],
)
def test_what_is_reasoning_and_what_is_the_answer(text: str, opened: bool, thought: str, answer: str) -> None:
    assert split([text], opened=opened) == (thought, answer)
    assert split(list(text), opened=opened) == (thought, answer)


def test_reasoning_is_told_as_it_comes() -> None:
    splitter = ReasoningSplitter(opened=False)
    assert [splitter.feed(chunk) for chunk in ("<think>", "first", " second")] == [
        ("", ""),
        ("first", ""),
        (" second", ""),
    ]


def test_a_prompt_may_end_inside_the_reasoning() -> None:
    assert THINK.opened_by("<|im_start|>assistant\n<think>\n")
    assert not THINK.opened_by("<|im_start|>assistant\n<think>\n\n</think>\n\n")


pieces = st.sampled_from(["<think>", "</think>", "<th", "ink>", "</", " ", "\n", "word", "<"])


@settings(deadline=None, max_examples=300)
@given(chunks=st.lists(pieces, max_size=8), opened=st.booleans())
def test_any_cutting_gives_the_same_parts(chunks: list[str], opened: bool) -> None:
    text = "".join(chunks)
    assert split(chunks, opened=opened) == split([text], opened=opened) == split(list(text), opened=opened)


@pytest.mark.parametrize(
    ("template", "opening"),
    [
        ("{{ messages }}", "<think>"),
        ("{{ '<seed:think>' }}", "<seed:think>"),
        ("{{ '[THINK]' + text + '[/THINK]' }}", "[THINK]"),
        ("<|START_THINKING|>", "<|START_THINKING|>"),
        ("{%- set inner = '<|inner_prefix|>' -%}", "<|inner_prefix|>"),
        ("<|channel>thought\\n", "<|channel>thought\n"),
        ("'<think{}>'.format(':opensource')", "<think:opensource>"),
        ("between <thinking> and </thinking>", "<thinking>"),
        ("<think> or <thinking>", "<think>"),
    ],
)
def test_the_template_says_how_its_model_marks_reasoning(template: str, opening: str) -> None:
    marks = choose(template)
    assert marks.open == opening
    assert marks.opened_by(f"assistant\n{opening}\n")
    splitter = ReasoningSplitter(opened=False, marks=marks)
    parts = [splitter.feed(char) for char in f"{marks.open}Hm.{marks.close}\nYes."]
    assert "".join(thought for thought, _ in parts) == "Hm."
    assert "".join(answer for _, answer in parts) == "Yes."
