"""Chat templates render as Hugging Face's do, and cannot harm the worker."""

from __future__ import annotations

import resource
import signal
import sys
from typing import Any

import pytest

from engine.errors import TemplateError
from engine.text import chatml
from engine.text.template import MEMORY, ChatTemplate, message_data, tool_data
from engine.types import Message, ToolCall, ToolDefinition

USER = [message_data(Message(role="user", content="hi"))]
CALL = Message(role="assistant", tool_calls=(ToolCall(id="call_1", name="f", arguments='{"a": "ü"}'),))


def render(source: str, messages: list[dict[str, Any]] = USER, *, seconds: float = 0.5) -> str:
    return ChatTemplate(source, bos="<s>", eos="</s>", seconds=seconds).render(messages)


def test_the_environment_is_the_one_templates_are_written_for() -> None:
    source = """\
    {% for message in messages %}
    {{ bos_token }}{{ message['content'] }}{{ eos_token }}
        {% if loop.first %}{% continue %}{% endif %}
    {% endfor %}
    {% generation %}said{% endgeneration %}
    {{- {'a': '<ü>'} | tojson }}{{ [1] | tojson(indent=1) }}
    {{- '' if tools is none else 'tools' }}{{ add_generation_prompt }}
    {{- strftime_now('%Y') | length }}"""
    assert render(source) == '    <s>hi</s>\nsaid{"a": "<ü>"}[\n 1\n]True4'


def test_tools_are_given_in_openais_shape() -> None:
    tool = tool_data(ToolDefinition(name="f", description="does", parameters={"type": "object"}))
    template = ChatTemplate("{{ tools | tojson }}")
    assert template.tools
    assert not ChatTemplate("{{ messages }}").tools
    assert template.render(USER, [tool]) == (
        '[{"type": "function", "function": {"name": "f", "description": "does", "parameters": {"type": "object"}}}]'
    )


def test_arguments_of_calls_are_data_and_become_text_for_templates_that_join_them() -> None:
    data = [message_data(CALL)]
    assert render("{{ messages[0].tool_calls[0].function.arguments.a }}", data) == "ü"
    assert render("{{ 'call ' + messages[0].tool_calls[0].function.arguments }}", data) == 'call {"a": "ü"}'
    written = Message(role="assistant", tool_calls=(ToolCall(id="call_1", name="f", arguments="no json"),))
    assert render("{{ messages[0].tool_calls[0].function.arguments }}", [message_data(written)]) == "no json"


def test_a_template_that_refuses_the_messages_is_quoted() -> None:
    with pytest.raises(TemplateError, match="roles must alternate") as caught:
        render("{{ raise_exception('Conversation roles must alternate!') }}")
    assert caught.value.info.param == "messages"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__ }}{{ raise_exception.__globals__['json'] }}",
        "{{ ''|attr('__class__')|attr('__base__') }}{{ (1).__class__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{{ messages.clear() }}",
        "{{ messages[0].update(role='x') }}",
        "{% include '/etc/passwd' %}",
        "{% for m in messages %}",
        "{{ nothing.at.all }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_what_a_template_may_not_do_or_cannot_is_its_own_error(source: str) -> None:
    with pytest.raises(TemplateError):
        render(source)


def test_a_template_may_gather_lists() -> None:
    source = "{% set n = namespace(ids=[]) %}{% for m in messages %}{% set _ = n.ids.append(m.role) %}{% endfor %}"
    assert render(source + "{{ n.ids | join }}") == render("{% for m in messages %}{{ m.role }}{% endfor %}")


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    "source",
    [
        ENDLESS,
        "{{ range(10**9) | list }}",
        "{{ 'x' * 10**9 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{% set x = namespace(n=10 ** 100) %}{% for i in range(99) %}{% set x.n = x.n * x.n %}{% endfor %}",
        "{% set s = namespace(t='0123456789') %}{% for i in range(60) %}{% set s.t = s.t ~ s.t %}{% endfor %}",
        "{{ 'x' | center(2000000000) }}",
        "{% for i in range(99999) %}{{ 'x' * 100000 }}{% endfor %}",
        "{% set n = namespace(a=[]) %}{% for i in range(45) %}{% set n.a = [n.a, n.a] %}{% endfor %}{{ n.a | tojson }}",
        "{{ '%2000000000d' % 1 }}",
    ],
)
def test_a_template_that_goes_on_for_ever_or_grows_is_stopped(source: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TemplateError, match="stopped"):
        render(source)
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 2 * MEMORY


def test_after_a_runaway_template_everything_is_as_before() -> None:
    handler, limit = signal.getsignal(signal.SIGALRM), resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(TemplateError):
        render(ENDLESS, seconds=0.05)
    assert signal.getsignal(signal.SIGALRM) is handler
    assert resource.getrlimit(resource.RLIMIT_AS) == limit
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert render("{{ messages[0].content }}") == "hi"


def test_the_default_template_tells_a_conversation_with_tools() -> None:
    messages = [
        Message(role="user", content="weather?"),
        Message(role="system", content="Be brief."),
        Message(role="assistant", content="I look.", tool_calls=CALL.tool_calls),
        Message(role="tool", content="sunny", tool_call_id="call_1"),
    ]
    template = ChatTemplate(chatml.TEMPLATE)
    tool = tool_data(ToolDefinition(name="f"))
    prompt = template.render([message_data(message) for message in messages], [tool])
    assert template.tools
    assert prompt.startswith("<|im_start|>system\nBe brief.\n\n")
    assert '{"type": "function", "function": {"name": "f"' in prompt
    assert prompt.endswith(
        "<|im_end|>\n<|im_start|>user\nweather?<|im_end|>\n"
        '<|im_start|>assistant\nI look.\n<tool_call>\n{"name": "f", "arguments": {"a": "ü"}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert template.render(USER) == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
