"""The routes of OpenAI's dialect, with and without the `/v1` before them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from importlib import resources
from typing import Any

import msgspec
from aiohttp import web

from engine.api.engine import Engine
from engine.api.errors import cut_short
from engine.api.limits import Admission
from engine.api.openai.completions import CompletionChunks, WholeCompletion, decode_completion
from engine.api.openai.decode import decode_chat
from engine.api.openai.embeddings import decode_embeddings, encode_embeddings
from engine.api.openai.encode import ChunkEncoder, WholeAnswer
from engine.api.openai.rerank import decode_rerank, encode_ranking
from engine.api.openai.tokens import decode_detokenize, decode_tokenize, encode_tokens
from engine.api.sse import Pace, stream
from engine.errors import BadInput
from engine.types import Delta, Finish, GenerateRequest, ModelEntry

BODY_S = 120.0
"""Seconds within which the body of a request has to arrive."""


class OpenAIRoutes:
    """Handlers over one engine."""

    def __init__(self, engine: Engine, admission: Admission, pace: Pace) -> None:
        self._engine = engine
        self._admission = admission
        self._pace = pace

    def routes(self) -> list[web.RouteDef]:
        """Every route of the dialect."""
        return [web.post("/v2/rerank", self.rerank)] + [
            route
            for prefix in ("/v1", "")
            for route in (
                web.get(f"{prefix}/models", self.models),
                web.get(f"{prefix}/models/{{model:.+}}", self.model),
                web.post(f"{prefix}/chat/completions", self.chat_completions),
                web.post(f"{prefix}/completions", self.completions),
                web.post(f"{prefix}/embeddings", self.embeddings),
                web.post(f"{prefix}/rerank", self.rerank),
                web.post(f"{prefix}/tokenize", self.tokenize),
                web.post(f"{prefix}/detokenize", self.detokenize),
                web.get(f"{prefix}/openapi.json", self.openapi),
            )
        ]

    async def models(self, request: web.Request) -> web.Response:
        """The models that can be used."""
        usable = [self._describe(entry) for entry in self._engine.models() if entry.error is None]
        return _json({"object": "list", "data": usable})

    async def model(self, request: web.Request) -> web.Response:
        """One model."""
        return _json(self._describe(self._engine.find(request.match_info["model"])))

    async def chat_completions(self, request: web.Request) -> web.StreamResponse:
        """A chat completion, whole or as a stream."""
        with self._admission.admit():
            asked = decode_chat(await _body(request))
            model = self._model(asked.model)
            if not asked.stream:
                return await self._whole(model, asked.request, WholeAnswer(model, asked.request))
            encoder = ChunkEncoder(model, include_usage=asked.include_usage, choices=asked.request.n)
            return await stream(request, self._engine.generate(model, asked.request), encoder, self._pace)

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """A completion of a plain prompt, whole or as a stream."""
        with self._admission.admit():
            asked = decode_completion(await _body(request))
            model = self._model(asked.model)
            if not asked.stream:
                return await self._whole(model, asked.request, WholeCompletion(model, asked.request))
            encoder = CompletionChunks(model, include_usage=asked.include_usage, several=asked.request.n > 1)
            return await stream(request, self._engine.generate(model, asked.request), encoder, self._pace)

    async def embeddings(self, request: web.Request) -> web.Response:
        """The vectors of texts."""
        with self._admission.admit():
            asked = decode_embeddings(await _body(request))
            model = self._model(asked.model)
            return _json(encode_embeddings(model, asked, await self._engine.embed(model, asked.request)))

    async def rerank(self, request: web.Request) -> web.Response:
        """Documents, scored against a query and sorted; Cohere's newer clients ask at /v2."""
        with self._admission.admit():
            asked = decode_rerank(await _body(request))
            model = self._model(asked.model)
            return _json(encode_ranking(model, asked, await self._engine.rerank(model, asked.request)))

    async def tokenize(self, request: web.Request) -> web.Response:
        """The tokens of a text or of a conversation."""
        with self._admission.admit():
            model, asked, pieces = decode_tokenize(await _body(request))
            return _json(encode_tokens(await self._engine.tokenize(self._model(model), asked), pieces=pieces))

    async def detokenize(self, request: web.Request) -> web.Response:
        """The text of tokens."""
        with self._admission.admit():
            model, tokens = decode_detokenize(await _body(request))
            return _json({"content": await self._engine.detokenize(self._model(model), tokens)})

    async def openapi(self, request: web.Request) -> web.Response:
        """What this server answers, as an OpenAPI document."""
        text = resources.files("engine.api.openai").joinpath("openapi.json").read_bytes()
        return web.Response(body=text, content_type="application/json")

    def _model(self, name: str) -> str:
        """The id of the model that a request names."""
        return self._engine.find(name or self._engine.active_model()).id

    async def _whole(self, model: str, request: GenerateRequest, answer: WholeAnswer | WholeCompletion) -> web.Response:
        finish: Finish | None = None
        async with aclosing(self._engine.generate(model, request)) as outputs:
            async for output in outputs:
                if isinstance(output, Delta):
                    answer.add(output)
                elif isinstance(output, Finish):
                    finish = output
        if finish is None:
            raise cut_short()
        return web.Response(body=answer.encode(finish), content_type="application/json")

    def _describe(self, entry: ModelEntry) -> dict[str, Any]:
        """OpenAI's model object, with what is known of the model besides; unknown facts are left out."""
        status = self._engine.status()
        facts = next((worker.facts for worker in status.workers if worker.model == entry.id and worker.facts), None)
        known = {
            "name": entry.name or None,
            "context_length": facts.context if facts else entry.context_length,
            "kind": entry.kind,
            "format": entry.format,
            "size": entry.size,
            "architecture": entry.architecture,
            "parameters": entry.parameters,
            "quantization": entry.quantization,
            "loaded": facts is not None,
            "lora": facts
            and [
                {"id": number, "name": adapter.name, "scale": adapter.scale}
                for number, adapter in enumerate(facts.adapters)
            ],
        }
        return {
            "id": entry.id,
            "object": "model",
            "created": int(status.started),
            "owned_by": "footplate",
            **{key: value for key, value in known.items() if value is not None},
        }


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError as error:
        raise BadInput(f"The body of the request did not arrive within {BODY_S:.0f} s.") from error


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
