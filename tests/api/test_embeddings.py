"""Vectors and scores over HTTP: the real `openai` package, and what Jina's and Cohere's clients send."""

from __future__ import annotations

from typing import Any

import aiohttp
import openai
import pytest
from fake import FakeEngine


def client(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)


async def post(http: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, dict[str, Any]]:
    async with http.post(url, json=body) as answer:
        return answer.status, await answer.json()


async def test_the_package_s_own_way_which_is_base64(url: str, engine: FakeEngine) -> None:
    async with client(url) as ai:
        answer = await ai.embeddings.create(model="guide", input=["ab", "abcd"])
    assert [item.embedding for item in answer.data] == [[0.0, 2.0, 0.5], [1.0, 4.0, 0.5]]
    assert [item.index for item in answer.data] == [0, 1]
    assert (answer.object, answer.model) == ("list", "guide")
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (6, 6)
    assert engine.embedded[0][1].inputs == ("ab", "abcd")


async def test_floats_and_fewer_dimensions(url: str, engine: FakeEngine) -> None:
    async with client(url) as ai:
        answer = await ai.embeddings.create(model="guide", input="abc", encoding_format="float", dimensions=2)
    assert answer.data[0].embedding == [0.0, 3.0]
    assert engine.embedded[0][1].dimensions == 2


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        ("text", ("text",)),
        (["a", ""], ("a", "")),
        ([1, 2.0, 3], ((1, 2, 3),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
        (["a", [1]], ("a", (1,))),
    ],
)
async def test_every_form_of_input(
    http: aiohttp.ClientSession, url: str, engine: FakeEngine, sent: Any, understood: Any
) -> None:
    status, _ = await post(http, f"{url}/embeddings", {"input": sent})
    assert status == 200
    assert engine.embedded == [("guide", engine.embedded[0][1])]
    assert engine.embedded[0][1].inputs == understood


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [[]]}, "input[0]"),
        ({"input": [1, -1]}, "input[1]"),
        ({"input": [1.5]}, "input[0]"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({}, "input"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": 1.5}, "dimensions"),
    ],
)
async def test_what_is_wrong_is_named(
    http: aiohttp.ClientSession, url: str, engine: FakeEngine, fields: dict[str, Any], param: str
) -> None:
    status, answer = await post(http, f"{url}/v1/embeddings", fields)
    assert status == 400
    assert answer["error"]["param"] == param
    assert engine.embedded == []


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v2/rerank"])
async def test_documents_are_sorted_by_their_scores(http: aiohttp.ClientSession, url: str, path: str) -> None:
    body = {"model": "guide", "query": "q", "documents": ["aa", {"text": "aaaa", "id": 3}, "a", "aa"]}
    status, answer = await post(http, f"{url}{path}", body)
    assert status == 200
    assert [result["index"] for result in answer["results"]] == [1, 0, 3, 2]
    scores = [result["relevance_score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert "document" not in answer["results"][0]
    assert answer["usage"] == {"prompt_tokens": 7, "total_tokens": 7}


async def test_the_best_with_their_texts(http: aiohttp.ClientSession, url: str) -> None:
    body = {"query": {"text": "q"}, "documents": ["a", "aaa", "aa"], "top_n": 2, "return_documents": True}
    _, answer = await post(http, f"{url}/v1/rerank", body)
    assert [result["document"]["text"] for result in answer["results"]] == ["aaa", "aa"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"documents": ["a"]}, "query"),
        ({"query": "", "documents": ["a"]}, "query"),
        ({"query": "q", "documents": []}, "documents"),
        ({"query": "q", "documents": ["a"] * 2049}, "documents"),
        ({"query": "q", "documents": [{"title": "a"}]}, "documents[0].text"),
        ({"query": "q", "documents": ["a"], "top_n": 0}, "top_n"),
    ],
)
async def test_what_is_wrong_with_documents_is_named(
    http: aiohttp.ClientSession, url: str, engine: FakeEngine, fields: dict[str, Any], param: str
) -> None:
    status, answer = await post(http, f"{url}/v1/rerank", fields)
    assert status == 400
    assert answer["error"]["param"] == param
    assert engine.ranked == []


async def test_models_say_their_kind(http: aiohttp.ClientSession, url: str) -> None:
    async with http.get(f"{url}/v1/models") as answer:
        assert [model["kind"] for model in (await answer.json())["data"]] == ["chat", "chat"]
