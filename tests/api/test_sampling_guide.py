"""Sampling, forms and several answers: a real host, llama.cpp with the built-in model, the real client."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from engine.paths import Paths

ASK = [{"role": "user", "content": "How do I open the list of models?"}]
COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green"]}, "size": {"type": "integer", "minimum": 1, "maximum": 40}},
    "required": ["colour", "size"],
}
PAINT = {"type": "function", "function": {"name": "paint", "strict": True, "parameters": COLOUR}}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


WILD: dict[str, Any] = {"temperature": 2, "top_p": 1, "extra_body": {"top_k": 0, "min_p": 0}}
"""Nothing is left out, so that a model that is sure of itself says different things, too."""


class Api:
    """The running host's API."""

    def __init__(self, url: str) -> None:
        self.ai = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
        self._url = url

    async def ask(self, **fields: Any) -> Any:
        return await self.ai.chat.completions.create(**{"model": "guide", "messages": ASK, "max_tokens": 24} | fields)

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        async with aiohttp.ClientSession() as http, http.post(f"{self._url}{path}", json=body) as answer:
            return await answer.json()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        home = Path(tmp_path_factory.mktemp("h"))
        patch.setenv("FOOTPLATE_HOME", str(home))
        patch.delenv("FOOTPLATE_API_KEY", raising=False)
        process = runner.run(_start())
        yield runner.run(_url(Paths.find(os.environ).socket))
        process.terminate()
        runner.run(process.wait())


async def _start() -> asyncio.subprocess.Process:
    ready, ready_fd = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "engine.host", "--serve", "--port", "0", "--ready-fd", str(ready_fd)),
        pass_fds=[ready_fd],
    )
    os.close(ready_fd)
    with os.fdopen(ready) as said:
        assert json.loads(said.readline()) == {"ok": True}
    return process


async def _url(socket: Path) -> str:
    connector = aiohttp.UnixConnector(str(socket))
    async with aiohttp.ClientSession(connector=connector) as http, http.get("http://host/control/status") as answer:
        return str((await answer.json())["api"]["url"])


@pytest.fixture
async def api(url: str) -> AsyncIterator[Api]:
    found = Api(url)
    yield found
    await found.ai.close()


async def test_the_same_seed_gives_the_same_text(api: Api) -> None:
    texts = [(await api.ask(seed=seed, **WILD)).choices[0].message.content for seed in (5, 5, 5, 6)]
    assert texts[1] == texts[2] != texts[3]  # the first one computed the prompt, which the others find cached


async def test_a_bias_forces_a_token(api: Api) -> None:
    token = (await api.post("/v1/tokenize", content="o"))["tokens"][0]
    answer = await api.ask(logit_bias={str(token): 100}, max_tokens=5)
    assert answer.choices[0].message.content == "ooooo"


async def test_log_probabilities_whole_and_streamed(api: Api) -> None:
    wish = {"logprobs": True, "top_logprobs": 5, "temperature": 0, "max_tokens": 12}
    whole = (await api.ask(**wish)).choices[0]
    entries = whole.logprobs.content
    assert b"".join(bytes(entry.bytes) for entry in entries).decode() == whole.message.content
    for entry in entries:
        likely = [one.logprob for one in entry.top_logprobs]
        assert len(likely) == 5 and likely == sorted(likely, reverse=True)
        assert entry.token == entry.top_logprobs[0].token
        assert 0.99 * likely[0] >= entry.logprob >= likely[0] or entry.logprob == likely[0]
        assert sum(map(math.exp, likely)) <= 1 + 1e-6
    chunks = [chunk async for chunk in await api.ask(stream=True, **wish)]
    told = [entry for chunk in chunks if chunk.choices[0].logprobs for entry in chunk.choices[0].logprobs.content]
    assert [entry.token for entry in told] == [entry.token for entry in entries]
    assert not (await api.ask()).choices[0].logprobs


async def test_a_stop_text_takes_its_log_probabilities_along(api: Api) -> None:
    wish = {"logprobs": True, "temperature": 0, "max_tokens": 12}
    text = (await api.ask(**wish)).choices[0].message.content
    cut = (await api.ask(stop=text[6:9], **wish)).choices[0]
    assert cut.finish_reason == "stop"
    told = b"".join(bytes(entry.bytes) for entry in cut.logprobs.content).decode()
    assert text.startswith(cut.message.content) and told.startswith(cut.message.content)
    assert len(told) < len(cut.message.content) + 3 + 6


async def test_several_answers_to_one_prompt(api: Api) -> None:
    answer = await api.ask(n=4, seed=1, max_tokens=10, **WILD)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert len({choice.message.content for choice in answer.choices}) > 1
    assert answer.usage.completion_tokens <= 40
    one = await api.ask(seed=1, max_tokens=10, **WILD)
    assert answer.usage.prompt_tokens == one.usage.prompt_tokens
    texts = dict.fromkeys(range(4), "")
    reasons = {}
    options = {"include_usage": True}
    async for chunk in await api.ask(n=4, seed=1, max_tokens=10, **WILD, stream=True, stream_options=options):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
    assert len(set(texts.values())) > 1
    assert set(reasons) == {0, 1, 2, 3}
    assert set(reasons.values()) <= {"stop", "length"}


@pytest.mark.parametrize("seed", range(4))
async def test_a_schema_is_kept_to(api: Api, seed: int) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "paint", "strict": True, "schema": COLOUR}}
    answer = await api.ask(response_format=form, seed=seed, temperature=2, max_tokens=200)
    value = json.loads(answer.choices[0].message.content)
    assert answer.choices[0].finish_reason == "stop"
    assert value["colour"] in ("red", "green") and 1 <= value["size"] <= 40


async def test_a_schema_that_cannot_be_kept_is_refused_by_name(api: Api) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?=x)"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with pytest.raises(openai.BadRequestError, match="look-around") as caught:
        await api.ask(response_format=form)
    assert caught.value.param == "response_format.json_schema.schema.properties.a.pattern"


async def test_json_is_json(api: Api) -> None:
    ids = [(await api.post("/v1/tokenize", content=text))["tokens"] for text in ('"', "}", '"}')]
    bias = {str(tokens[0]): 15 for tokens in ids}
    for seed in range(3):
        wish = {"response_format": {"type": "json_object"}, "seed": seed, "max_tokens": 150, "logit_bias": bias}
        choice = (await api.ask(**wish)).choices[0]
        assert choice.finish_reason == "stop"
        assert isinstance(json.loads(choice.message.content), dict)


async def test_a_grammar(api: Api) -> None:
    body = {"grammar": 'root ::= "yes" | "no"'}
    answer = await api.ask(extra_body=body)
    assert answer.choices[0].message.content in ("yes", "no")
    endless = await api.ask(extra_body={"grammar": 'root ::= "a" root | "b" root'}, max_tokens=7)
    assert endless.choices[0].finish_reason == "length"
    for wrong in ("root ::= [", "root ::= root", "other ::= x", "root ::= " + "(" * 500):
        with pytest.raises(openai.BadRequestError) as caught:
            await api.ask(extra_body={"grammar": wrong})
        assert caught.value.param == "grammar"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "paint"}}])
async def test_a_forced_call_has_the_arguments_of_its_schema(api: Api, choice: Any) -> None:
    tools = [PAINT] if choice == "required" else [LOOK, PAINT]
    for seed in range(3):
        answer = await api.ask(tools=tools, tool_choice=choice, seed=seed, temperature=2, max_tokens=200)
        assert answer.choices[0].finish_reason == "tool_calls"
        call = answer.choices[0].message.tool_calls[0].function
        assert call.name == "paint"
        assert json.loads(call.arguments)["colour"] in ("red", "green")


async def test_a_form_and_tools_at_once(api: Api) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "paint", "schema": COLOUR}}
    message = (
        (await api.ask(response_format=form, tools=[PAINT], temperature=2, seed=3, max_tokens=300)).choices[0].message
    )
    told = message.tool_calls[0].function.arguments if message.tool_calls else message.content
    assert json.loads(told)["colour"] in ("red", "green")


async def test_completions(api: Api) -> None:
    tokens = (await api.post("/v1/tokenize", content="The list of", add_special=True))["tokens"]
    wish: dict[str, Any] = {"model": "guide", "max_tokens": 8, "temperature": 0}
    by_text = await api.ai.completions.create(prompt="The list of", logprobs=2, **wish)
    by_tokens = await api.ai.completions.create(prompt=tokens, **wish)
    assert by_text.choices[0].text == by_tokens.choices[0].text
    likely = by_text.choices[0].logprobs
    assert "".join(likely.tokens) == by_text.choices[0].text
    assert len(likely.top_logprobs[0]) == 2 and likely.text_offset[0] == 0
    chunks = [chunk async for chunk in await api.ai.completions.create(prompt="The list of", stream=True, **wish)]
    assert "".join(chunk.choices[0].text for chunk in chunks) == by_text.choices[0].text
    assert chunks[-1].choices[0].finish_reason == by_text.choices[0].finish_reason
    with pytest.raises(openai.BadRequestError) as caught:
        await api.ai.completions.create(prompt="def f(", suffix=")", **wish)
    assert (caught.value.code, caught.value.param) == ("unsupported", "suffix")


async def test_tokens_there_and_back(api: Api) -> None:
    text = "Ça va? <|im_end|> 🚂"
    found = await api.post("/tokenize", content=text, with_pieces=True)
    ids = [entry["id"] for entry in found["tokens"]]
    assert found["count"] == len(ids)
    assert (await api.post("/detokenize", tokens=ids))["content"] == text
    wrong = await api.post("/v1/detokenize", tokens=[10**6])
    assert wrong["error"]["param"] == "tokens[0]"
    counted = await api.post("/v1/tokenize", messages=ASK)
    assert counted["count"] == (await api.ask(max_tokens=1)).usage.prompt_tokens
