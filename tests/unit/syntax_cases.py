"""Answers in every syntax, and what they say."""

from __future__ import annotations

from engine.text.tool_calls import Thought
from tests.unit.syntax_examples import Found

PARIS = ("get_weather", {"city": "Paris"})
ALL = (
    "get_weather",
    {"city": 'Par"is\n', "days": 2, "exact": True, "options": {"a": [1, "x"], "b": None}, "hours": [1, 2]},
)
NOW = ("now", {})
OBJECT = '{"name": "get_weather", "arguments": {"city": "Paris"}}'
EMPTY = '{"name": "now", "arguments": {}}'
DS_BEGIN, DS_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
DS_CALL, DS_SEP, DS_CALL_END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"
QWEN = "<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>"
SEED = "<function=get_weather>\n<parameter=city>Paris</parameter>\n</function>"
QWEN_ALL = (
    '<function=get_weather>\n<parameter=city>\nPar"is\n\n</parameter>\n<parameter=days>\n2\n</parameter>\n'
    "<parameter=exact>\nTrue\n</parameter>\n"
    "<parameter=options>\n{'a': [1, 'x'], 'b': None}\n</parameter>\n<parameter=hours>[1, 2]</parameter></function>"
)
INVOKE = '<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n</invoke>'
DSML = (
    '<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n'
    '<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n</｜DSML｜invoke>'
)
GLM = "<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>"
KIMI = "<|tool_call_begin|>functions.get_weather:3<|tool_call_argument_begin|>"

CASES: list[tuple[str, str, Found]] = [
    ("hermes", f"<tool_call>[{OBJECT}, {EMPTY}]</tool_call>", [PARIS, NOW]),
    ("hermes", '<tool_call>{"name": "now", "arguments": {"a": "line\nbreak"}}', [("now", {"a": "line\nbreak"})]),
    ("granite", f"<|tool_call|>[{OBJECT}, {EMPTY}]", [PARIS, NOW]),
    ("granite", f"I look.\n<tool_call>[{OBJECT}]</tool_call> Done", ["I look.", PARIS, "Done"]),
    ("granite", "<|tool_call|>[]", ["<|tool_call|>[]"]),
    ("granite", f"<|tool_call|>[{OBJECT}, and no more", [PARIS, ", and no more"]),
    ("tool-calls-list", f"Ok.\n<tool_calls>[{OBJECT}, {EMPTY}]</tool_calls>", ["Ok.", PARIS, NOW]),
    ("minimax-m1", f"<tool_calls>\n{OBJECT}\n{EMPTY}\n</tool_calls>", [PARIS, NOW]),
    ("nemotron", f"<TOOLCALL>[{OBJECT}, {EMPTY}]</TOOLCALL>", [PARIS, NOW]),
    ("firefunction", f"Sure: functools[{OBJECT}]", ["Sure:", PARIS]),
    ("gigachat", f"Well.<|function_call|>{OBJECT}<|message_sep|>\n\n", ["Well.", PARIS]),
    ("gigachat", f"<|message_sep|>\n\nfunction call<|role_sep|>\n{OBJECT}", [PARIS]),
    (
        "command-r7b",
        '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris"}},\n'
        '    {"tool_call_id": "1", "tool_name": "now", "parameters": {}}\n]<|END_ACTION|>',
        [PARIS, NOW],
    ),
    (
        "command-r",
        'Action:\n```json\n[\n    {\n        "tool_name": "now",\n        "parameters": {}\n    }\n]```',
        [NOW],
    ),
    (
        "apertus",
        'Hm.<|tools_prefix|>[{"get_weather": {"city": "Paris"}}, {"now": {}}]<|tools_suffix|>',
        ["Hm.", PARIS, NOW],
    ),
    ("apertus", "<|tools_prefix|>[1]<|tools_suffix|>", ["<|tools_prefix|>[1]<|tools_suffix|>"]),
    ("mistral", '[TOOL_CALLS][{"name": "now", "name": "other", "arguments": {}, "arguments": {"a": 1}}]', [NOW]),
    ("mistral", f"Yes[TOOL_CALLS] [{OBJECT}, {EMPTY}]", ["Yes", PARIS, NOW]),
    (
        "mistral",
        '[TOOL_CALLS]now[ARGS]{}[TOOL_CALLS]get_weather[CALL_ID]abcdefgh1[ARGS]{"city": "Paris"}',
        [NOW, PARIS],
    ),
    ("mistral-named", 'Hm[TOOL_CALLS]get_weather{"city": "Paris"} so', ["Hm", PARIS, "so"]),
    ("mistral-named", "[TOOL_CALLS] are the words for it", ["[TOOL_CALLS] are the words for it"]),
    (
        "qwen3-coder",
        f"I look.\n\n<tool_call>\n{QWEN}\n</tool_call>\n<tool_call>\n<function=now>\n</function>\n</tool_call>",
        ["I look.", PARIS, NOW],
    ),
    ("qwen3-coder", f"<tool_call>\n{QWEN_ALL}\n</tool_call>", [ALL]),
    ("qwen3-coder", f"{QWEN}\n</tool_call> and text", [PARIS, "and text"]),
    ("qwen3-coder", "<tool_call>\n<function=now>\n<parameter=x>\n12\n</parameter>\n</function>", [("now", {"x": 12})]),
    (
        "qwen3-coder",
        "<tool_call>\n<function=now>\n<parameter=x>\nword\n</parameter>\n</function>",
        [("now", {"x": "word"})],
    ),
    (
        "qwen3-coder",
        "The tag <tool_call> begins one, <function=> is none",
        ["The tag <tool_call> begins one, <function=> is none"],
    ),
    ("qwen3-coder", f"<tool_call>\n{OBJECT}\n</tool_call>", [PARIS]),
    ("qwen3-coder", "In XML it is <function=other>", ["In XML it is <function=other>"]),
    ("seed-oss", f"So.\n<seed:tool_call>\n{SEED}\n</seed:tool_call>", ["So.", PARIS]),
    (
        "minimax-m2",
        f'<minimax:tool_call>\n{INVOKE}\n<invoke name="now">\n</invoke>\n</minimax:tool_call>',
        [PARIS, NOW],
    ),
    (
        "minicpm",
        '<function name="get_weather"><param name="city"><![CDATA[a <b> &]]></param>'
        '<param name="days">3</param></function>'
        '\n<function name="now"></function>',
        [("get_weather", {"city": "a <b> &", "days": 3}), NOW],
    ),
    (
        "deepseek-v3.2",
        f"\n\n<｜DSML｜function_calls>\n{DSML}\n</｜DSML｜function_calls>",
        [("get_weather", {"city": "Paris", "days": 2})],
    ),
    (
        "deepseek-v4",
        f"Ok.\n<｜DSML｜tool_calls>\n{DSML}\n</｜DSML｜tool_calls>",
        ["Ok.", ("get_weather", {"city": "Paris", "days": 2})],
    ),
    (
        "glm-4.5",
        f"See.\n<tool_call>get_weather\n{GLM}\n</tool_call>\n<tool_call>now\n</tool_call>",
        ["See.", PARIS, NOW],
    ),
    (
        "glm-4.5",
        f"<tool_call>get_weather{GLM}<arg_key>days</arg_key><arg_value>2</arg_value></tool_call>",
        [("get_weather", {"city": "Paris", "days": 2})],
    ),
    (
        "glm-4.5",
        "<tool_call>now</tool_call><tool_call>no call at all</tool_call>",
        [NOW, "<tool_call>no call at all</tool_call>"],
    ),
    (
        "hunyuan-3",
        "<tool_calls:opensource>\n<tool_call:opensource>get_weather<tool_sep:opensource>\n<arg_key:opensource>city"
        "</arg_key:opensource>\n<arg_value:opensource>Paris</arg_value:opensource>\n</tool_call:opensource>\n"
        "</tool_calls:opensource>",
        [PARIS],
    ),
    (
        "deepseek-v3",
        f'{DS_BEGIN}{DS_CALL}function{DS_SEP}get_weather\n```json\n{{"city": "Paris"}}\n```{DS_CALL_END}\n'
        f"{DS_CALL}function{DS_SEP}now\n```json\n{{}}\n```{DS_CALL_END}{DS_END}",
        [PARIS, NOW],
    ),
    (
        "deepseek-v3.1",
        f'Ok{DS_BEGIN}{DS_CALL}get_weather{DS_SEP}{{"city": "Paris"}}{DS_CALL_END}'
        f"{DS_CALL}now{DS_SEP}{{}}{DS_CALL_END}{DS_END}",
        ["Ok", PARIS, NOW],
    ),
    ("deepseek-v3.1", f"{DS_BEGIN} nothing", [f"{DS_BEGIN} nothing"]),
    (
        "kimi-k2",
        f'<|tool_calls_section_begin|>{KIMI}{{"city": "Paris"}}<|tool_call_end|><|tool_calls_section_end|>',
        [PARIS],
    ),
    (
        "functionary-v3.1",
        'I look.<function=get_weather>{"city": "Paris"}</function><function=now>{}</function>',
        ["I look.", PARIS, NOW],
    ),
    ("functionary-v3.2", 'all\nI look.>>>get_weather\n{"city": "Paris"}>>>now\n{}', ["I look.", PARIS, NOW]),
    ("functionary-v3.2", "all\n>>> print('all')", [">>> print('all')"]),
    ("functionary-v3.2", "now\n{}", [NOW]),
    ("functionary-v3.2", "What is this?", ["What is this?"]),
    ("lfm2", '<|tool_call_start|>[get_weather(city="Paris"), now()]<|tool_call_end|>So', [PARIS, NOW, "So"]),
    (
        "lfm2",
        "<|tool_call_start|>[get_weather(city='Par\"is\\n', days=2, exact=True, "
        "options={'a': [1, 'x'], 'b': None}, hours=(1, 2))]<|tool_call_end|>",
        [ALL],
    ),
    ("llama-pythonic", '[get_weather(city="Paris"), now()]', [PARIS, NOW]),
    ("llama-pythonic", "<|python_start|>[now()]<|python_end|>", [NOW]),
    ("llama-pythonic", "[1, 2, 3] is a list", ["[1, 2, 3] is a list"]),
    ("llama-pythonic", '[other(city="Paris")]', ['[other(city="Paris")]']),
    (
        "llama-pythonic",
        "[get_weather('Paris', 2, exact=true)]",
        [("get_weather", {"city": "Paris", "days": 2, "exact": True})],
    ),
    (
        "llama-pythonic",
        "[get_weather(city='''a \"b\"\n\\x41\\u00fc\\d''')]",
        [("get_weather", {"city": 'a "b"\nAü\\d'})],
    ),
    ("gemma-tool-code", "Ok\n```tool_code\nprint(get_weather(city='Paris'))\nnow()\n```", ["Ok", PARIS, NOW]),
    ("llama-3", '{"name": "get_weather", "parameters": {"city": "Paris"}}', [PARIS]),
    ("llama-3", '{"type": "function", "name": "now", "parameters": {}}; {"name": "now", "parameters": {}}', [NOW, NOW]),
    ("llama-3", '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}', [PARIS]),
    ("llama-3", '<|python_tag|>brave_search.call(query="a \\"b\\"")', [("brave_search", {"query": 'a "b"'})]),
    ("llama-3", "<|python_tag|>import os", ["<|python_tag|>import os"]),
    ("llama-3", '{"name": "Bob", "age": 5}', ['{"name": "Bob", "age": 5}']),
    ("llama-3", ' {"age": 5, "name": "now"}', [' {"age": 5, "name": "now"}']),
    ("llama-3", 'Here: {"name": "now", "parameters": {}}', ['Here: {"name": "now", "parameters": {}}']),
    (
        "gemma-4",
        'I look.<|tool_call>call:get_weather{city:<|"|>Par"is\n<|"|>,days:2,exact:true,'
        'options:{a:[1,<|"|>x<|"|>],b:null},hours:[1,2]}<tool_call|><|tool_call>call:now{}<tool_call|>',
        ["I look.", ALL, NOW],
    ),
    ("gemma-4", "<|tool_call>weather<tool_call|>", ["<|tool_call>weather<tool_call|>"]),
    ("function-gemma", "<start_function_call>call:get_weather{city:<escape>Paris<escape>}<end_function_call>", [PARIS]),
    (
        "harmony",
        "<|channel|>analysis<|message|>Hm, the weather.<|end|><|start|>assistant<|channel|>commentary<|message|>I look."
        "<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
        '{"city": "Paris"}<|call|>',
        [Thought("Hm, the weather."), "I look.", PARIS],
    ),
    ("harmony", " to=functions.now<|channel|>commentary json<|message|>{}", [NOW]),
    ("harmony", "<|channel|>analysis to=functions.now code<|message|><|call|>", [NOW]),
    (
        "harmony",
        "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>Yes. ",
        [Thought("Hm"), "Yes. "],
    ),
    ("harmony", "<|channel|>commentary to=functions.now <|constrain|>json<|message|>", [NOW]),
    ("harmony", "Plain text", ["Plain text"]),
    (
        "solar-open",
        "<|think|>Hm.<|end|><|begin|>assistant<|content|>I look.<|end|><|begin|>assistant<|tool_calls|>"
        "<|tool_call:begin|>x1<|tool_call:name|>get_weather<|tool_call:args|>"
        '{"city": "Paris"}<|tool_call:end|><|calls|>',
        [Thought("Hm."), "I look.", PARIS],
    ),
    (
        "muse",
        " to=self<|message|>Hm.<|eom|><|start|>assistant to=user<|message|>I look.<|eom|><|start|>assistant "
        'to=get_weather<|message|><atem:function_calls>\n<atem:invoke name="get_weather">\n'
        '<atem:parameter name="city">Paris'
        "</atem:parameter>\n</atem:invoke>\n</atem:function_calls><|eot|>",
        [Thought("Hm."), "I look.", PARIS],
    ),
    ("muse", " to=user<|message|>Yes, to=user.", ["Yes, to=user."]),
    ("muse", "Plain text", ["Plain text"]),
    ("solar-open", "<|content|>Yes.<|end|>", ["Yes."]),
]
