"""Every syntax of tool calls, by example: what is read, however it is cut, and that nothing is lost."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.text.reasoning import ReasoningSplitter
from engine.text.stream import TextStream
from engine.text.tool_calls import ToolCallSyntax, syntaxes
from engine.types import Delta, ToolCall, ToolCallDelta
from engine.worker.coalesce import Coalescer
from tests.unit.syntax_cases import CASES, GLM, KIMI, QWEN
from tests.unit.syntax_examples import TOOLS, Found, found, identities, joined, named, plain


@pytest.mark.parametrize(("name", "text", "expected"), CASES)
def test_what_an_answer_says(name: str, text: str, expected: Found) -> None:
    assert plain(found(named(name), [text])) == expected
    assert plain(found(named(name), list(text))) == expected


def test_every_syntax_has_an_example() -> None:
    assert {syntax.name for syntax in syntaxes()} == {name for name, _, _ in CASES}


def deltas(name: str, steps: list[bytes]) -> list[Delta]:
    """The deltas of an answer that comes in these bytes, with neighbours joined."""
    syntax = named(name)
    reasoning = None if syntax.whole else ReasoningSplitter(opened=False)
    count = iter(range(99))
    tools = syntax.parser(lambda: f"call_{next(count)}", TOOLS)
    stream = TextStream(lambda token: bytes([token]), reasoning=reasoning, tools=tools, stops=("STOP",))
    waiting = Coalescer()
    for step in steps:
        for delta in stream.feed(step):
            waiting.put(delta)
    for delta in stream.close():
        waiting.put(delta)
    taken = []
    while waiting:
        output = waiting.take()
        assert isinstance(output, Delta)
        taken.append(output)
    return taken


@pytest.mark.parametrize(("name", "text", "expected"), CASES)
def test_an_answer_cut_anywhere_is_the_same(name: str, text: str, expected: Found) -> None:
    data = text.encode()
    whole = deltas(name, [data])
    for place in range(1, len(data)):
        assert deltas(name, [data[:place], data[place:]]) == whole, place


@settings(deadline=None, max_examples=300)
@given(data=st.data(), case=st.sampled_from(CASES))
def test_damaged_answers_cut_anyhow_are_the_same(data: st.DataObject, case: tuple[str, str, Found]) -> None:
    name, text, _ = case
    begin, end = sorted((data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))))
    other = data.draw(st.sampled_from([text, "", "<", "{", "]", '"', "\\", "\n", "1", "ü"]))
    damaged = text[:begin] + other + text[end:]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(damaged)))) | {0, len(damaged)})
    chunks = [damaged[start:stop] for start, stop in itertools.pairwise(cuts)]
    syntax = named(name)
    assert joined(syntax, chunks) == joined(syntax, [damaged]) == joined(syntax, list(damaged))


@settings(deadline=None)
@given(text=st.text(), syntax=st.sampled_from([syntax for syntax in syntaxes() if not syntax.whole]))
def test_text_without_calls_passes_unchanged(text: str, syntax: ToolCallSyntax) -> None:
    assert "".join(map(str, found(syntax, list(text)))) == text


def test_a_call_is_told_by_its_name_and_its_arguments_come_as_they_are_written() -> None:
    for name, text in (
        ("qwen3-coder", f"<tool_call>\n{QWEN}"),
        ("glm-4.5", f"<tool_call>get_weather\n{GLM}</tool_call>"),
        ("llama-pythonic", '[get_weather(city="Paris")]'),
        ("gemma-4", '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>'),
        ("mistral-named", '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}'),
    ):
        parser = named(name).parser(lambda: "id", TOOLS)
        told = [piece for char in text for piece in parser.feed(char)]
        assert told[0].name == "get_weather"  # type: ignore[union-attr]
        assert len(told) >= 5, "the value is not held back until it is whole"


def test_a_call_that_is_cut_off_stays_as_far_as_it_came() -> None:
    assert found(named("qwen3-coder"), ["<tool_call>\n<function=get_weather>\n<parameter=city>\nPari"]) == [
        ("get_weather", '{"city": "Pari')
    ]
    assert found(named("llama-pythonic"), ['[get_weather(city="Pari']) == [("get_weather", '{"city": "Pari')]


@pytest.mark.parametrize("syntax", syntaxes(), ids=lambda syntax: str(syntax.name))
def test_a_forced_call_begins_as_a_parser_expects_it(syntax: ToolCallSyntax) -> None:
    opening = syntax.opening("get_weather")
    parser = syntax.parser(lambda: "id", TOOLS)
    told = [*parser.feed(opening), *parser.feed("{")][0]
    assert isinstance(told, ToolCallDelta)
    assert (told.name, told.index) == ("get_weather", 0)
    assert opening.startswith(syntax.opening(None))


def test_ids_of_the_models_own_are_kept_and_differ() -> None:
    assert identities(named("kimi-k2"), f"{KIMI}{{}}<|tool_call_end|>{KIMI}{{}}") == [
        "functions.get_weather:3",
        "made00000",
    ]
    assert identities(named("mistral"), "[TOOL_CALLS]now[CALL_ID]abcdefgh1[ARGS]{}") == ["abcdefgh1"]
    (made,) = identities(named("mistral"), "[TOOL_CALLS]now[ARGS]{}")
    assert len(made) == 9


def test_ids_of_other_models_are_fitted_to_templates_that_refuse_them() -> None:
    mistral, hermes = named("mistral"), named("hermes")
    call = ToolCall(id="call_0123456789", name="now", arguments="{}")
    assert len(mistral.own_id(call.id)) == 9
    assert mistral.own_id(call.id) == mistral.own_id(call.id)
    assert mistral.own_id("abcdefgh1") == "abcdefgh1"
    assert hermes.own_id(call.id) == call.id


def test_values_are_what_the_schema_says() -> None:
    def value(parameter: str, text: str) -> object:
        answer = f"<tool_call>\n<function=get_weather>\n<parameter={parameter}>\n{text}\n</parameter>\n</function>"
        ((_, arguments),) = found(named("qwen3-coder"), [answer])
        return json.loads(arguments)[parameter]

    assert value("city", "12") == "12"
    assert value("city", "null") == "null"
    assert value("days", "12") == 12
    assert value("days", "many") == "many"
    assert value("exact", "False") is False
    assert value("options", "{'a': True}") == {"a": True}
    assert value("options", '{"a": tru}') == '{"a": tru}'
    assert value("unknown", "true") is True
    assert value("unknown", "text") == "text"
    assert value("unknown", "1e400") == float("inf")
