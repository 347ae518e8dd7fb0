"""Hermes tool calls: read as they come, and nothing lost when they are none."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.text import chatml
from engine.text.tool_calls import choose
from engine.text.tool_calls.hermes import Hermes
from engine.types import ToolCallDelta

Call = tuple[str, str]


def parser() -> Any:
    count = itertools.count()
    return Hermes().parser(lambda: f"call_{next(count)}")


def parse(chunks: list[str]) -> list[str | Call]:
    """Text and (name, arguments) in order, neighbouring text joined."""
    reader = parser()
    pieces = [piece for chunk in chunks for piece in reader.feed(chunk)] + reader.close()
    found: list[Any] = []
    for piece in pieces:
        if isinstance(piece, ToolCallDelta):
            if piece.name is not None:
                assert piece.id == f"call_{piece.index}"
                found.append([piece.name, piece.arguments])
            else:
                assert isinstance(found[-1], list), "arguments without a call"
                found[-1][1] += piece.arguments
        elif found and isinstance(found[-1], str):
            found[-1] += piece
        else:
            found.append(piece)
    return [piece if isinstance(piece, str) else (piece[0], piece[1]) for piece in found]


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


CASES: list[tuple[str, list[str | Call]]] = [
    (call("f", '{"a": 1}'), [("f", '{"a": 1}')]),
    ("Let me see.\n" + call("f", "{}"), ["Let me see.", ("f", "{}")]),
    (call("f", "{}") + "\n" + call("g", '{"b": [1, {"c": "}"}]}'), [("f", "{}"), ("g", '{"b": [1, {"c": "}"}]}')]),
    (call("f", "{}") + "\nand then\n" + call("g", "{}") + "\ndone", [("f", "{}"), "and then", ("g", "{}"), "done"]),
    (call("f", '{"a": "\\" </tool_call> {"}'), [("f", '{"a": "\\" </tool_call> {"}')]),
    ('<tool_call>{"arguments": {"a": 1}, "name": "f"}</tool_call>', [("f", '{"a": 1}')]),
    ('<tool_call>{"name": "f", "parameters": {"a": 1}}</tool_call>', [("f", '{"a": 1}')]),
    ('<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>', [("f", '{"a": 1}')]),
    ('<tool_call>{"name": "f", "arguments": null}</tool_call>', [("f", "{}")]),
    ('<tool_call>{"name": "f"}</tool_call>', [("f", "{}")]),
    ('<tool_call>{"id": 7, "name": "f", "arguments": {}, "why": [true]}</tool_call>', [("f", "{}")]),
    ('<tool_call>\n{"name": "f", "arguments": {"a": 1}}', [("f", '{"a": 1}')]),
    ('<tool_call>{"name": "f", "arguments": {"a": "cut', [("f", '{"a": "cut')]),
    ('<tool_call>{"name": "f", "arguments": {}} tail', [("f", "{}"), "tail"]),
    ("<tool_call>no json</tool_call>", ["<tool_call>no json</tool_call>"]),
    ("see \n<tool_call>{}</tool_call> ok", ["see \n<tool_call>{}</tool_call> ok"]),
    ('<tool_call>{"name": 5}</tool_call>', ['<tool_call>{"name": 5}</tool_call>']),
    ('<tool_call>{"arguments": {}}</tool_call>', ['<tool_call>{"arguments": {}}</tool_call>']),
    ('<tool_call>{"name": "\\ud83d", "arguments": "\\ud83d"}</tool_call>', [("?", "?")]),
    ("<tool_call>", ["<tool_call>"]),
    ("<tool_call> <tool_call>" + '{"name": "f"}</tool_call>', ["<tool_call>", ("f", "{}")]),
    ('<tool_call>{"name": "a' + call("f", "{}"), ['<tool_call>{"name": "a', ("f", "{}")]),
    ("a < b and <tool_cal", ["a < b and <tool_cal"]),
    ("plain text \n", ["plain text \n"]),
    ("", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_what_a_text_says(text: str, expected: list[str | Call]) -> None:
    assert parse([text]) == expected
    assert parse(list(text)) == expected


def test_the_name_is_told_before_the_arguments_and_these_as_they_come() -> None:
    reader = parser()
    told = [reader.feed(part) for part in ('<tool_call>{"name": "f"', ', "arguments": {"a', '": "long', ' text"}', "}")]
    assert told == [
        [ToolCallDelta(index=0, id="call_0", name="f")],
        [ToolCallDelta(index=0, arguments='{"a')],
        [ToolCallDelta(index=0, arguments='": "long')],
        [ToolCallDelta(index=0, arguments=' text"}')],
        [],
    ]


def test_text_before_a_call_does_not_wait_for_it() -> None:
    assert parser().feed("Let me see") == ["Let me see"]


@pytest.mark.parametrize("name", ["f", 'quote" and \\ and ü'])
def test_a_forced_call_begins_as_a_parser_expects_it(name: str) -> None:
    assert parse([Hermes().opening(name), '{"a": 1}}</tool_call>']) == [(name, '{"a": 1}')]
    rest = json.dumps(name)[1:] + ', "arguments": {}}'
    assert parse([Hermes().opening(None), rest]) == [(name, "{}")]


def test_the_template_says_which_syntax_its_model_speaks() -> None:
    syntax = choose(chatml.TEMPLATE)
    assert syntax is not None
    assert syntax.name == "hermes"
    assert choose("{% for message in messages %}{{ message.content }}{% endfor %}") is None


fragments = st.sampled_from(
    [
        *(
            "<tool_call>",
            "</tool_call>",
            "<tool_",
            "call>",
            "\n",
            " ",
            "word",
            '{"name": "f", ',
            '"arguments": ',
            "{}",
            "}",
        ),
        *('{"a": "x\\"y"}', '"', "{", "[", "]", ",", ":", "null", "12", call("g", '{"b": 2}')),
    ]
)


@settings(deadline=None, max_examples=400)
@given(chunks=st.lists(fragments, max_size=12))
@example(chunks=['<tool_call>{"name": "f", "arguments": 12', "}</tool_call>"])
@example(chunks=["<tool_call>", '{"name": "f", ', "word"])
def test_any_cutting_gives_the_same_calls_and_text(chunks: list[str]) -> None:
    text = "".join(chunks)
    assert parse(chunks) == parse([text]) == parse(list(text))


@settings(deadline=None)
@given(text=st.text())
def test_text_without_a_call_passes_unchanged(text: str) -> None:
    assert "".join(str(piece) for piece in parse([text])) == text


values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@settings(deadline=None)
@given(arguments=st.dictionaries(st.text(), values, max_size=3), indent=st.sampled_from([None, 2]), plain=st.booleans())
def test_arguments_arrive_as_they_were_written(arguments: dict[str, Any], indent: int | None, plain: bool) -> None:
    written = json.dumps(arguments, indent=indent, ensure_ascii=plain)
    assert parse(list(call("f", written))) == [("f", written)]
