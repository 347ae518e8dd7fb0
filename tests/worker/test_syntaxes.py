"""Models whose answers are structured by control tokens, through real workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.types import Delta, Finish, GenerateRequest, Message, Output, ToolCall, ToolChoice, ToolDefinition
from tests.worker.workers import ask, collect, running

WEATHER = ToolDefinition(name="get_weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})
MISTRAL = """
control = ["[INST]", "[/INST]", "[TOOL_CALLS]", "[ARGS]", "[TOOL_RESULTS]", "[HIDDEN]"]
template = '''{%- if tools %}{{ tools | tojson }}{% endif -%}
{%- for message in messages -%}
  {%- for call in message.tool_calls or [] -%}
    {%- if call.id | length != 9 %}{{ raise_exception("ids have nine characters") }}{% endif -%}
    [TOOL_CALLS]{{ call.function.name }}[ARGS]{{ call.function.arguments | tojson }}
  {%- endfor -%}
  [INST]{{ message.content }}[/INST]
{%- endfor -%}'''
[[replies]]
match = "forced"
text = '{"city": "Chur"}'
[[replies]]
text = 'I look.[HIDDEN][TOOL_CALLS]get_weather[ARGS]{"city": "Bern"}'
"""
HARMONY = """
control = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|constrain|>", "<|call|>"]
template = '''{%- if tools %}{{ tools | tojson }}{% endif -%}
{%- for message in messages -%}<|start|>{{ message.role }}<|message|>{{ message.content }}<|end|>{%- endfor -%}
{#- An answer is in <|channel|>final. -#}<|start|>assistant'''
[[replies]]
match = "forced"
text = '{"city": "Chur"}'
[[replies]]
match = "weather"
text = '''<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather \
<|constrain|>json<|message|>{"city": "Bern"}'''
[[replies]]
text = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes."
"""
THINKING = """
template = '''{%- if tools %}{{ tools | tojson }}<tool_call>{% endif -%}
{%- for message in messages -%}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{%- endfor -%}
<|im_start|>assistant\n<think>\n'''
[[replies]]
match = "forced"
text = '{"city": "Chur"}}</tool_call>'
[[replies]]
text = "Hm.</think>Yes."
"""


def told(outputs: list[Output]) -> tuple[str, str, list[tuple[str, str]], str]:
    """Reasoning, text, calls and the reason of the end."""
    deltas = [output for output in outputs if isinstance(output, Delta)]
    pieces = [piece for delta in deltas for piece in delta.tool_calls]
    heads = [piece for piece in pieces if piece.name]
    calls = [(head.name or "", "".join(p.arguments for p in pieces if p.index == head.index)) for head in heads]
    assert isinstance(outputs[-1], Finish)
    thought, text = "".join(delta.reasoning for delta in deltas), "".join(delta.text for delta in deltas)
    return thought, text, calls, outputs[-1].reason


def forced(mode: str = "named") -> GenerateRequest:
    """A request whose answer has to be a call."""
    choice = ToolChoice(mode="named", name="get_weather") if mode == "named" else ToolChoice(mode="required")
    return ask("forced", tools=(WEATHER,), tool_choice=choice)


async def test_the_control_tokens_of_the_syntax_are_read_and_no_others(tmp_path: Path) -> None:
    async with running(tmp_path, MISTRAL) as handle:
        answer = told(await collect(handle, ask("weather?", tools=(WEATHER,))))
        plain = told(await collect(handle, ask("weather?")))
    assert answer == ("", "I look.", [("get_weather", '{"city": "Bern"}')], "tool_calls")
    assert plain == ("", 'I look.get_weather{"city": "Bern"}', [], "stop")


async def test_a_call_that_another_model_made_has_an_id_that_the_template_takes(tmp_path: Path) -> None:
    call = ToolCall(id="call_0123456789abcdef", name="get_weather", arguments="{}")
    history = (Message(role="assistant", tool_calls=(call,)), Message(role="tool", tool_call_id=call.id, content="dry"))
    async with running(tmp_path, MISTRAL) as handle:
        answer = told(await collect(handle, GenerateRequest(messages=history, tools=(WEATHER,))))
    assert answer[1] == "I look."


@pytest.mark.parametrize("script", [MISTRAL, HARMONY, THINKING], ids=["mistral", "harmony", "thinking"])
async def test_a_forced_call_begins_with_the_tokens_of_the_syntax(tmp_path: Path, script: str) -> None:
    async with running(tmp_path, script) as handle:
        answer = told(await collect(handle, forced()))
    assert answer == ("", "", [("get_weather", '{"city": "Chur"}')], "tool_calls")


async def test_harmonys_channels_are_told_apart_with_and_without_tools(tmp_path: Path) -> None:
    async with running(tmp_path, HARMONY) as handle:
        called = told(await collect(handle, ask("weather?", tools=(WEATHER,))))
        said = told(await collect(handle, ask("hi")))
    assert called == ("Hm.", "", [("get_weather", '{"city": "Bern"}')], "tool_calls")
    assert said == ("Hm.", "Yes.", [], "stop")


async def test_a_prompt_may_end_inside_the_reasoning(tmp_path: Path) -> None:
    async with running(tmp_path, THINKING) as handle:
        answer = told(await collect(handle, ask("hi")))
    assert answer == ("Hm.", "Yes.", [], "stop")
