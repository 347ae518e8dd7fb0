"""Whole texts turned into vectors, or into scores."""

from __future__ import annotations

from engine.types.noun import Noun


class EmbedRequest(Noun, frozen=True, kw_only=True):
    """Texts whose vectors are wanted."""

    inputs: tuple[str | tuple[int, ...], ...]
    """Each a text, which gets the model's special tokens at its ends, or token ids, which are taken as they are."""
    dimensions: int | None = None
    """Only so many of each vector's first elements; `None` is all."""


class Embeddings(Noun, frozen=True, kw_only=True):
    """The vectors of a request, in its order."""

    vectors: tuple[bytes, ...]
    """Little-endian 32-bit floats; each vector has length 1."""
    prompt_tokens: int
    """Tokens of all inputs."""


class RerankRequest(Noun, frozen=True, kw_only=True):
    """Documents that are to be scored against a query."""

    query: str
    documents: tuple[str, ...]


class Ranking(Noun, frozen=True, kw_only=True):
    """The scores of a request, in the order of its documents."""

    scores: tuple[float, ...]
    """0 (beside the point) to 1 (to the point)."""
    prompt_tokens: int
    """Tokens of all pairs of query and document."""
