"""Real templates: the syntax that each teaches, and that what it writes for a call is read as that call."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.runtimes.scripted.vocabulary import ScriptedVocabulary
from engine.text import reasoning
from engine.text.markers import visible
from engine.text.reasoning import ReasoningSplitter
from engine.text.stream import TextStream
from engine.text.template import ChatTemplate, message_data, tool_data
from engine.text.tool_calls import choose
from engine.types import Message, ToolCall
from tests.unit.llama_source import templates
from tests.unit.syntax_examples import TOOLS

pytestmark = pytest.mark.timeout(600)  # the first test may have to download the templates

TAUGHT = {
    "Apertus-8B-Instruct": "apertus",
    "Apriel-1.6-15b-Thinker-fixed": "tool-calls-list",
    "Bielik-11B-v3.0-Instruct": "hermes",
    "ByteDance-Seed-OSS": "seed-oss",
    "Cohere2MoE": "command-r7b",
    "CohereForAI-c4ai-command-r-plus-tool_use": "command-r",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": "command-r7b",
    "GLM-4.6": "glm-4.5",
    "GLM-4.7-Flash": "glm-4.5",
    "GigaChat3-10B-A1.8B": "gigachat",
    "GigaChat3.1-10B-A1.8B": "gigachat",
    "HuggingFaceTB-SmolLM3-3B": None,
    "Kimi-K2-Instruct": "kimi-k2",
    "Kimi-K2-Thinking": "kimi-k2",
    "Kimi-K3": None,
    "LFM2-8B-A1B": "lfm2",
    "LFM2.5-8B-A1B": "lfm2",
    "LFM2.5-Instruct": "lfm2",
    "MiMo-VL": "hermes",
    "MiniMax-M1": "minimax-m1",
    "MiniMax-M2": "minimax-m2",
    "MiniMax-M3": None,
    "Mistral-Small-3.2-24B-Instruct-2506": "mistral-named",
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": "qwen3-coder",
    "NVIDIA-Nemotron-Nano-v2": "nemotron",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": "hermes",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": "hermes",
    "Qwen-QwQ-32B": "hermes",
    "Qwen-Qwen2.5-7B-Instruct": "hermes",
    "Qwen-Qwen3-0.6B": "hermes",
    "Qwen3-Coder": "qwen3-coder",
    "Qwen3.5-4B": "qwen3-coder",
    "Reka-Edge": "hermes",
    "Spark2.5": "glm-4.5",
    "StepFun3.5-Flash": "qwen3-coder",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "deepseek-v3",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "deepseek-v3",
    "deepseek-ai-DeepSeek-V3.1": "deepseek-v3.1",
    "deepseek-ai-DeepSeek-V3.2": "deepseek-v3.2",
    "deepseek-ai-DeepSeek-V4": "deepseek-v4",
    "deepseek-ai-DeepSeek-V4-Flash-0731": "deepseek-v4",
    "fireworks-ai-llama-3-firefunction-v2": "firefunction",
    "google-gemma-2-2b-it": None,
    "google-gemma-4-31B-it": "gemma-4",
    "google-gemma-4-31B-it-interleaved": "gemma-4",
    "ibm-granite-granite-3.3-2B-Instruct": "granite",
    "ibm-granite-granite-4.0": "hermes",
    "ibm-granite-granite-4.1": "hermes",
    "inclusionai-ling-3.0-flash": "glm-4.5",
    "llama-cpp-deepseek-r1": "deepseek-v3",
    "llama-cpp-rwkv-world": None,
    "meetkai-functionary-medium-v3.1": "functionary-v3.1",
    "meetkai-functionary-medium-v3.2": "functionary-v3.2",
    "meta-llama-Llama-3.1-8B-Instruct": "llama-3",
    "meta-llama-Llama-3.2-3B-Instruct": "llama-3",
    "meta-llama-Llama-3.3-70B-Instruct": "llama-3",
    "microsoft-Phi-3.5-mini-instruct": None,
    "mistralai-Ministral-3-14B-Reasoning-2512": "mistral-named",
    "mistralai-Mistral-Nemo-Instruct-2407": "mistral",
    "moonshotai-Kimi-K2": "kimi-k2",
    "muse-glimmer": "muse",
    "openai-gpt-oss-120b": "harmony",
    "openbmb-MiniCPM5-1B": "minicpm",
    "poolside-Laguna-S-2.1": "glm-4.5",
    "poolside-Laguna-XS-2.1": "glm-4.5",
    "poolside-Laguna-XS.2": "glm-4.5",
    "tencent-Hy3": "hunyuan-3",
    "unsloth-Apriel-1.5": "tool-calls-list",
    "unsloth-mistral-Devstral-Small-2507": "mistral-named",
    "upstage-Solar-Open-100B": "solar-open",
}
WITHOUT_CALLS = {
    "LFM2-8B-A1B": "keeps no calls in the history",
    "LFM2.5-Instruct": "keeps no calls in the history",
    "NVIDIA-Nemotron-Nano-v2": "keeps no calls of the last message",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "keeps no calls of messages with content",
    "fireworks-ai-llama-3-firefunction-v2": "takes its tools by another name",
    "ibm-granite-granite-3.3-2B-Instruct": "keeps no calls in the history",
    "llama-cpp-deepseek-r1": "asks for its own JSON filter",
}
ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "</s>", "<|END_OF_TURN_TOKEN|>", "<seed:eos>", "[e~[", "<|role_end|>"),
    *("<｜end▁of▁sentence｜>", "<|end_of_text|>", "<end_of_sentence>", "<turn|>", "<|tool_response>", "<|call|>"),
    *(
        "<|user|>",
        "<|assistant|>",
        "</assistant>",
        "<sep>",
        "<｜hy_eos:opensource｜>",
        "<|assistant_start|>",
        "<|end|>\n",
    ),
    *("<|calls|>", "<|START_OF_TURN_TOKEN|>", "<|eot|>"),
)
"""Ends of turns: end-of-generation tokens, which no answer contains, and the beginnings of the next turn."""
ONE_CALL = {
    *("GigaChat3-10B-A1.8B", "GigaChat3.1-10B-A1.8B", "openai-gpt-oss-120b", "meta-llama-Llama-3.1-8B-Instruct"),
    *("meta-llama-Llama-3.2-3B-Instruct", "meta-llama-Llama-3.3-70B-Instruct"),
}
"""Templates that take no second call, or pass over it."""
HIDDEN = "<|CHATBOT_TOKEN|>"
TEXT, THOUGHT = "Let me look.", "I think."
CITY = 'Par"is <b>\n'
ARGUMENTS = {"city": CITY, "days": 2, "exact": True, "options": {"a": [1, "x"], "b": False}, "hours": [1, 2]}
CALLS = (
    ToolCall(id="abcdefgh1", name="get_weather", arguments=json.dumps(ARGUMENTS)),
    ToolCall(id="abcdefgh2", name="now", arguments="{}"),
)
USER = Message(role="user", content="What is the weather?")


@pytest.fixture(scope="session")
def folder(request: pytest.FixtureRequest) -> Path:
    """The real templates."""
    return templates(request.config.cache.mkdir("llama_source"))


def written(name: str, folder: Path, calls: tuple[ToolCall, ...], text: str) -> str:
    """An answer as the template writes it in a history, from where a prompt for it would end."""
    template = ChatTemplate((folder / f"{name}.jinja").read_text(), bos="<s>", eos="</s>")
    tools = [tool_data(tool) for tool in TOOLS]
    answer = Message(role="assistant", content=text, reasoning=THOUGHT, tool_calls=calls)
    prompt = template.render([message_data(USER)], tools)
    history = template.render([message_data(USER), message_data(answer)], tools)
    shared = next((at for at, pair in enumerate(zip(prompt, history, strict=False)) if len(set(pair)) > 1), len(prompt))
    if shared < len(prompt) and (tag := re.search(r"[<\[][^<>\s]*$", prompt[:shared])):
        shared = tag.start()
    rest = history[shared:]
    end = min((rest.find(word) for word in ENDS if word in rest), default=len(rest))
    return rest[:end]


def test_every_template_is_known(folder: Path) -> None:
    names = {path.stem for path in folder.glob("*.jinja")}
    syntaxes = {name: choose((folder / f"{name}.jinja").read_text()) for name in names}
    assert {name: syntax.name if syntax else None for name, syntax in syntaxes.items()} == TAUGHT


@pytest.mark.parametrize("name", [name for name, syntax in TAUGHT.items() if syntax and name not in WITHOUT_CALLS])
@pytest.mark.parametrize("text", [TEXT, ""], ids=["text", "no text"])
def test_what_a_template_writes_for_calls_is_read_as_these(name: str, text: str, folder: Path) -> None:
    source = (folder / f"{name}.jinja").read_text()
    syntax, marks = choose(source), reasoning.choose(source)
    assert syntax is not None
    calls = CALLS[:1] if name in ONE_CALL else CALLS
    answer = written(name, folder, calls, text)
    opened = marks.close in answer and marks.open not in answer
    words = (*syntax.markers, *marks.markers)
    vocabulary = ScriptedVocabulary((*words, HIDDEN))
    for chunk in (1, 7, 10_000):
        tokens = vocabulary.answer(answer)
        count = itertools.count()
        stream = TextStream(
            vocabulary.piece,
            reasoning=None if syntax.whole else ReasoningSplitter(opened=opened, marks=marks),
            tools=syntax.parser(lambda count=count: f"call_{next(count)}", TOOLS),  # type: ignore[misc]
            visible=visible(vocabulary, words),
        )
        deltas = [d for at in range(0, len(tokens), chunk) for d in stream.feed(tokens[at : at + chunk])]
        deltas += stream.close()
        made: dict[int, list[str]] = {}
        for piece in (piece for delta in deltas for piece in delta.tool_calls):
            made.setdefault(piece.index, [piece.name or "", ""])[1] += piece.arguments
        said = "".join(delta.text for delta in deltas).strip()
        thought = "".join(delta.reasoning for delta in deltas).strip()
        assert [(called, json.loads(arguments)) for called, arguments in made.values()] == [
            (call.name, json.loads(call.arguments)) for call in calls
        ], answer
        assert said + thought in (text, THOUGHT, "", text + THOUGHT), answer
        assert (THOUGHT in thought) == (THOUGHT in answer), answer
        assert (TEXT in said + thought) == (TEXT in answer), answer


def test_ids_of_other_models_do_not_stop_a_template_that_demands_its_own(folder: Path) -> None:
    source = (folder / "mistralai-Mistral-Nemo-Instruct-2407.jinja").read_text()
    syntax = choose(source)
    assert syntax is not None
    call = replace(CALLS[0], id=syntax.own_id("call_0123456789"))
    result = Message(role="tool", content="Sunny.", tool_call_id=syntax.own_id("call_0123456789"))
    messages = [USER, Message(role="assistant", tool_calls=(call,)), result]
    rendered = ChatTemplate(source, bos="<s>", eos="</s>").render([message_data(message) for message in messages])
    assert rendered.count(call.id) == 2
