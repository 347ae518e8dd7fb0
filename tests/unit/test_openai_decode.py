from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api.openai.decode import decode_chat
from engine.errors import BadInput, Unsupported
from engine.types import AnswerFormat, GenerateRequest, ToolChoice
from engine.worker import protocol

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "look"}}


def decode(**fields: Any) -> GenerateRequest:
    return decode_chat(json.dumps({"messages": [USER], **fields}).encode()).request


def refused(body: bytes | dict[str, Any]) -> BadInput:
    with pytest.raises(BadInput) as caught:
        decode_chat(body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("hi", "hi"),
        ("", ""),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {"type": "x"}}], "a\nb"),
        (["a", "b"], "a\nb"),
    ],
)
@pytest.mark.parametrize("role", ["user", "assistant", "tool", "system"])
def test_content_comes_in_every_form(role: str, content: Any, text: str) -> None:
    assert decode(messages=[{"role": role, "content": content}]).messages[0].content == text


def test_a_part_that_is_not_text_is_named() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    error = refused({"messages": [USER, {"role": "user", "content": [{"type": "text", "text": "x"}, picture]}]})
    assert isinstance(error, Unsupported)
    assert error.info.param == "messages[1].content[1]"
    assert "image_url" in str(error)


def test_a_conversation_with_tools_is_taken_over() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    request = decode(
        messages=[
            {"role": "developer", "content": "be brief"},
            USER,
            USER,
            {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "seen"}]},
        ],
        tools=[TOOL],
    )
    assert [message.role for message in request.messages] == ["system", "user", "user", "assistant", "tool"]
    assert request.messages[3].reasoning == "hm"
    assert request.messages[3].tool_calls[0].arguments == '{"at": 1}'
    assert request.messages[4].tool_call_id == "call_1"
    assert request.tools[0].parameters == {}


def test_arguments_sent_as_an_object_become_text() -> None:
    call = {"function": {"name": "look", "arguments": {"at": [1]}}}
    made = decode(messages=[{"role": "assistant", "tool_calls": [call]}]).messages[0].tool_calls[0]
    assert json.loads(made.arguments) == {"at": [1]}
    assert made.id


def test_odd_schemas_pass_unchanged() -> None:
    schema = {"$schema": "x", "anyOf": [{"type": "object"}, True], "properties": {"a": {"pattern": "^\\d+$"}}}
    tool = {"type": "function", "strict": True, "function": {"name": "f", "description": None, "parameters": schema}}
    assert decode(tools=[tool]).tools[0].parameters == schema


def test_integers_of_a_schema_fit_a_frame() -> None:
    schema = {"maximum": 2**70, "enum": [-(2**70), 7, True]}
    assert decode(tools=[{"function": {"name": "f", "parameters": schema}}]).tools[0].parameters == {
        "maximum": 2**63 - 1,
        "enum": [-(2**63), 7, True],
    }


def test_defaults_leave_the_choice_to_the_model() -> None:
    request = decode(temperature=None, max_tokens=None, stop=None, tools=None, tool_choice=None, n=None)
    assert request == GenerateRequest(messages=request.messages)


def test_the_newer_limit_wins_and_minus_one_is_none() -> None:
    assert decode(max_tokens=5).max_tokens == 5
    assert decode(max_tokens=5, max_completion_tokens=7).max_tokens == 7
    assert decode(max_tokens=-1).max_tokens is None
    assert decode(max_tokens=100.0, seed=7.0) == decode(max_tokens=100, seed=7)


def test_everything_that_is_said_of_sampling_is_taken_over() -> None:
    said = {
        "top_k": 5, "min_p": 0.1, "typical_p": 0.9, "repeat_last_n": -1, "xtc_probability": 0.5, "xtc_threshold": 0.2,
        "dry_multiplier": 0.8, "dry_base": 2, "dry_allowed_length": 3, "dry_penalty_last_n": 64, "mirostat": 2,
        "mirostat_tau": 4, "mirostat_eta": 0.2, "presence_penalty": 1, "frequency_penalty": -1, "seed": 7,
    }  # fmt: skip
    found = decode(**said, logit_bias={"5": -100}, dry_sequence_breakers=["\n"]).sampling
    assert {name: getattr(found, name) for name in said} == said
    assert found.logit_bias == {5: -100}
    assert found.dry_sequence_breakers == ("\n",)


def test_logprobs_and_choices() -> None:
    assert decode().top_logprobs is None
    assert decode(logprobs=True).top_logprobs == 0
    assert decode(logprobs=True, top_logprobs=3, n=2).top_logprobs == 3
    assert decode(n=2).n == 2


def test_formats() -> None:
    schema = {"type": "object"}
    assert decode(response_format={"type": "json_object"}).format == AnswerFormat(kind="json")
    strict = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    assert decode(response_format=strict).format == AnswerFormat(kind="schema", schema=schema)
    assert decode(response_format={"type": "json_object", "schema": schema}).format.schema == schema
    assert decode(grammar='root ::= "x"').format == AnswerFormat(kind="grammar", grammar='root ::= "x"')


@pytest.mark.parametrize(("stop", "texts"), [("a", ("a",)), (["a", "", "b"], ("a", "b")), ("", ()), ([], ())])
def test_stop_is_a_text_or_a_list(stop: Any, texts: tuple[str, ...]) -> None:
    assert decode(stop=stop).stop == texts


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ("auto", ToolChoice()),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ({"type": "function", "function": {"name": "look"}}, ToolChoice(mode="named", name="look")),
    ],
)
def test_tool_choice(choice: Any, meant: ToolChoice) -> None:
    assert decode(tools=[TOOL], tool_choice=choice).tool_choice == meant


@pytest.mark.parametrize(("said", "several"), [({}, True), (None, True), (True, True), (False, False)])
def test_parallel_tool_calls(said: Any, *, several: bool) -> None:
    fields = {} if said == {} else {"parallel_tool_calls": said}
    assert decode(tools=[TOOL], **fields).parallel_tool_calls is several


def test_parallel_tool_calls_is_a_boolean() -> None:
    assert refused({"messages": [USER], "parallel_tool_calls": "no"}).info.param == "parallel_tool_calls"


@pytest.mark.parametrize("choice", ["any", "required", {"type": "function", "function": {"name": "look"}}])
def test_a_choice_that_cannot_be_kept_is_refused(choice: Any) -> None:
    assert refused({"messages": [USER], "tool_choice": choice}).info.param == "tool_choice"


@pytest.mark.parametrize("options", [None, {}, [], "x", {"include_usage": "yes"}, {"other": 1}])
def test_stream_options_are_never_refused(options: Any) -> None:
    asked = decode_chat(json.dumps({"messages": [USER], "stream": True, "stream_options": options}).encode())
    assert asked.stream
    assert not asked.include_usage


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("functions", [{"name": "f"}]),
        ("function_call", "auto"),
    ],
)
def test_what_is_not_supported_is_said_by_name(field: str, value: Any) -> None:
    error = refused({"messages": [USER], field: value})
    assert isinstance(error, Unsupported)
    assert error.info.param == field


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"typical_p": 2}, "typical_p"),
        ({"mirostat": 3}, "mirostat"),
        ({"dry_base": 0.5}, "dry_base"),
        ({"dry_sequence_breakers": [""]}, "dry_sequence_breakers"),
        ({"xtc_threshold": -1}, "xtc_threshold"),
        ({"repeat_last_n": 1.5}, "repeat_last_n"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"5": 101}}, "logit_bias"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"response_format": {"type": "json_object"}, "grammar": "root ::= x"}, "grammar"),
        ({"seed": 2**63}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stop": ["x"] * 65}, "stop"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream": "yes"}, "stream"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [USER, {"content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": 1}]}, "messages[0].role"),
        ({"messages": [{"role": "function"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
    ],
)
def test_the_field_at_fault_is_named(fields: dict[str, Any], param: str) -> None:
    error = refused({"messages": [USER], **fields})
    assert error.info.param == param
    assert param in str(error)


def test_missing_messages_are_named() -> None:
    assert refused(b"{}").info.param == "messages"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b'{"messages": NaN}', b"\xff", b'{"a":"\\ud800"}'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert refused(body).status == 400


@pytest.mark.parametrize("where", ['{"unknown":%s}', '{"messages":[],"stream_options":%s}', '{"functions":%s}', "%s"])
def test_absurd_nesting_is_refused(where: str) -> None:
    refused((where % ("[" * 200_000 + "]" * 200_000)).encode())


def test_a_schema_nested_too_deeply_for_a_frame_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100):
        schema = {"properties": schema}
    error = refused({"messages": [USER], "tools": [{"function": {"name": "f", "parameters": schema}}]})
    assert error.info.param == "tools[0].function.parameters"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
parts = st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url"])}, optional={"text": json_values})
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "assistant", "tool", "developer", "elf"])},
    optional={"content": json_values | st.lists(parts), "tool_calls": json_values, "name": json_values},
)
functions = st.fixed_dictionaries({"name": st.text(max_size=3)}, optional={"parameters": json_values})
bodies = st.fixed_dictionaries(
    {},
    optional={
        "messages": st.lists(messages, max_size=3) | json_values,
        "model": json_values,
        "stream": json_values,
        "max_tokens": json_values,
        "seed": json_values,
        "stop": json_values,
        "temperature": json_values,
        "tools": st.lists(st.fixed_dictionaries({"function": functions | json_values}), max_size=2) | json_values,
        "tool_choice": json_values,
    },
)


@settings(deadline=None)
@given(bodies | json_values)
def test_any_json_is_either_refused_or_fit_to_be_sent_to_a_worker(body: Any) -> None:
    try:
        asked = decode_chat(msgspec.json.encode(body))
    except BadInput as error:
        assert error.info.what
        return
    frame = protocol.encode(protocol.Generate(id=1, request=asked.request))
    assert list(protocol.FrameReader[protocol.Command](protocol.Command).feed(frame)) == [
        protocol.Generate(id=1, request=asked.request)
    ]


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_refused_in_words(body: bytes) -> None:
    refused(body)
