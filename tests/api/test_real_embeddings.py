"""Vectors and scores as they are served: a real host, real weights, the real client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import openai
import pytest
from fixtures.bert_model import REAL, random_bert, real, unit, write_bert
from served import Host, started
from tokenizers import Tokenizer

from engine.paths import Paths

TEXTS = ["How do I reset my password?", "I forgot my login.", "The hen laid three eggs."]


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("minilm") / "all-minilm.gguf", real())


@pytest.fixture
async def host(home: Path, minilm: Path) -> AsyncIterator[Host]:
    """A host with all-MiniLM, a tiny reranker and a file that cannot be used; the built-in model is there, too."""
    paths = Paths.find(os.environ)
    paths.models.mkdir(parents=True)
    paths.config.mkdir(parents=True)
    paths.settings_file.write_text("[runtime]\nthreads = 1\n")  # more get in each other's way where other tests compute
    (paths.models / "all-minilm.gguf").symlink_to(minilm)
    write_bert(paths.models / "ranker.gguf", random_bert(classifier=True), gguf.PoolingType.RANK)
    write_bert(paths.models / "unpooled.gguf", random_bert(), None)
    async with started(paths) as running:
        yield running


@pytest.fixture
async def ai(host: Host) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{await host.url()}/v1", api_key="any", max_retries=0) as client:
        yield client


async def test_the_vectors_are_those_of_the_published_weights(ai: openai.AsyncOpenAI) -> None:
    answer = await ai.embeddings.create(model="all-minilm", input=TEXTS)
    vectors = np.array([item.embedding for item in answer.data])
    own = Tokenizer.from_file(str(REAL / "tokenizer.json"))
    own.no_padding()
    tokens = [own.encode(text).ids for text in TEXTS]
    bert = real()
    wanted = np.array([unit(bert.states(each).mean(0)) for each in tokens])
    assert (np.sum(vectors * wanted, 1) > 0.9999).all()
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
    assert answer.usage.prompt_tokens == sum(map(len, tokens))
    again = await ai.embeddings.create(model="all-minilm", input=tokens, encoding_format="float")
    assert np.allclose(vectors, [item.embedding for item in again.data], atol=2e-3)
    short = await ai.embeddings.create(model="all-minilm", input=TEXTS, dimensions=100)
    cut = np.array([item.embedding for item in short.data])
    assert np.allclose(cut, [unit(vector[:100]) for vector in vectors], atol=2e-3)


async def test_many_requests_at_once_get_what_they_get_alone(ai: openai.AsyncOpenAI) -> None:
    texts = [f"text number {index} " * (1 + index % 20) for index in range(24)]

    async def vectors(some: list[str]) -> list[list[float]]:
        return [item.embedding for item in (await ai.embeddings.create(model="all-minilm", input=some)).data]

    alone = await vectors(texts)
    pieces = await asyncio.gather(*(vectors(texts[start : start + 4]) for start in range(0, len(texts), 4)))
    together = [vector for piece in pieces for vector in piece]
    assert (np.sum(np.array(alone) * together, 1) > 0.9999).all()


async def test_documents_are_ranked(host: Host, ai: openai.AsyncOpenAI) -> None:
    body = {"model": "ranker", "query": "the hen", "documents": ["then", "a hen", "zz"], "return_documents": True}
    async with host.http.post("http://host/v1/rerank", json=body) as response:
        answer = await response.json()
    scores = [result["relevance_score"] for result in answer["results"]]
    assert sorted(result["index"] for result in answer["results"]) == [0, 1, 2]
    assert scores == sorted(scores, reverse=True) and min(scores) > 0 and max(scores) < 1


async def test_models_say_their_kind_and_refuse_what_is_not_theirs(ai: openai.AsyncOpenAI, host: Host) -> None:
    listed = {model.id: model.model_extra["kind"] async for model in ai.models.list()}
    assert listed == {"guide": "chat", "all-minilm": "embedding", "ranker": "rerank", "unpooled": "embedding"}
    ask = [{"role": "user", "content": "hi"}]
    with pytest.raises(openai.BadRequestError, match=r"turns texts into vectors.*Choose a model made for chat") as chat:
        await ai.chat.completions.create(model="all-minilm", messages=ask)
    assert chat.value.code == "unsupported"
    with pytest.raises(openai.BadRequestError, match=r"guide continues text.*Choose an embedding model"):
        await ai.embeddings.create(model="guide", input="x")
    with pytest.raises(openai.BadRequestError, match="ranker scores documents"):
        await ai.embeddings.create(model="ranker", input="x")
    assert not (await host.status()).get("workers"), "nothing is loaded to be refused"


async def test_errors_name_what_is_wrong(ai: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length is 512 tokens") as caught:
        await ai.embeddings.create(model="all-minilm", input=["short", "word " * 600])
    assert caught.value.code == "context_length_exceeded"
    assert "input[1] resulted in 602 tokens" in str(caught.value)
    with pytest.raises(openai.BadRequestError, match="between 1 and 384"):
        await ai.embeddings.create(model="all-minilm", input="x", dimensions=1000)
    with pytest.raises(openai.InternalServerError, match="names no pooling"):
        await ai.embeddings.create(model="unpooled", input="x")


async def test_a_client_that_leaves_stops_the_work(ai: openai.AsyncOpenAI, host: Host) -> None:
    await ai.embeddings.create(model="all-minilm", input="loaded")
    work = asyncio.create_task(ai.embeddings.create(model="all-minilm", input=["word " * 500] * 2000))
    await until(host, lambda status: status.get("requests", 0) == 1)
    work.cancel()
    await until(host, lambda status: not status.get("requests", 0) and status["workers"][0]["state"] == "ready")
    answer = await ai.embeddings.create(model="all-minilm", input="still there")
    assert answer.usage.prompt_tokens == 4


async def until(host: Host, condition: Callable[[dict[str, Any]], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition(await host.status()):  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.02)
