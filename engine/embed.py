"""Vectors of texts and scores of documents: leases the model and asks it. Whoever is cancelled calls the work off."""

from __future__ import annotations

from engine.fleet.fleet import Fleet
from engine.types import Embeddings, EmbedRequest, Ranking, RerankRequest


async def embed(fleet: Fleet, model: str, request: EmbedRequest) -> Embeddings:
    """The vectors of the request's texts.

    Raises what `Fleet.lease` does (`Unsupported` for a model of another kind) and whatever the worker fails with.
    """
    async with fleet.lease(model, "embedding") as worker:
        return await worker.embed(request)


async def rerank(fleet: Fleet, model: str, request: RerankRequest) -> Ranking:
    """The scores of the request's documents. Raises as `embed` does."""
    async with fleet.lease(model, "rerank") as worker:
        return await worker.rerank(request)
