"""The chat template for models that bring none: ChatML, with tools in the Hermes manner."""

from __future__ import annotations

TEMPLATE = """\
{%- macro block(role, text) -%}
{{ '<|im_start|>' + role + '\\n' + text + '<|im_end|>\\n' }}
{%- endmacro -%}
{%- set system = namespace(text='') -%}
{%- for message in messages if message.role == 'system' -%}
  {%- set system.text = system.text + ('\\n\\n' if system.text else '') + message.content -%}
{%- endfor -%}
{%- if tools -%}
  {%- set listing = namespace(text='') -%}
  {%- for tool in tools -%}
    {%- set listing.text = listing.text + '\\n' + (tool | tojson) -%}
  {%- endfor -%}
  {%- set system.text = system.text + ('\\n\\n' if system.text else '')
      + 'You can call these tools, given one per line as JSON:\\n<tools>' + listing.text + '\\n</tools>\\n'
      + 'To call one, write its name and arguments as JSON, one block for each call:\\n'
      + '<tool_call>\\n{"name": "the name", "arguments": {}}\\n</tool_call>' -%}
{%- endif -%}
{%- if system.text -%}
  {{ block('system', system.text) }}
{%- endif -%}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}
    {{ block('user', message.content) }}
  {%- elif message.role == 'tool' -%}
    {{ block('user', '<tool_response>\\n' + message.content + '\\n</tool_response>') }}
  {%- elif message.role == 'assistant' -%}
    {%- set turn = namespace(text=message.content) -%}
    {%- for call in message.tool_calls or [] -%}
      {%- set turn.text = turn.text + ('\\n' if turn.text else '') + '<tool_call>\\n'
          + ({'name': call.function.name, 'arguments': call.function.arguments} | tojson) + '\\n</tool_call>' -%}
    {%- endfor -%}
    {{ block('assistant', turn.text) }}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{ '<|im_start|>assistant\\n' }}
{%- endif -%}
"""
"""Jinja source. System messages are gathered at the beginning, wherever they stood."""
