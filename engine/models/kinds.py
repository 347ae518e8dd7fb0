"""What a model is for, told from its header, and what is said to a request for something else. Pure."""

from __future__ import annotations

from enum import IntEnum

from engine.errors import Unsupported
from engine.models.formats.gguf import GgufHeader
from engine.types import ModelEntry, ModelKind

ENCODERS = frozenset({
    "bert", "eurobert", "gemma-embedding", "jina-bert-v2", "jina-bert-v3", "llama-embed", "modern-bert", "neo-bert",
    "nomic-bert", "nomic-bert-moe",
})  # fmt: skip
"""Architectures that read a text at once and continue none."""

_DOES = {
    "chat": "continues text",
    "embedding": "turns texts into vectors",
    "rerank": "scores documents against a query",
}
_REMEDY = {
    "chat": "Choose a model made for chat or completion; vectors are at /v1/embeddings and scores at /v1/rerank.",
    "embedding": 'Choose an embedding model (kind "embedding" in GET /v1/models), such as a GGUF file of all-MiniLM, '
    "bge, nomic-embed or Qwen3-Embedding.",
    "rerank": 'Choose a reranker (kind "rerank" in GET /v1/models), such as a GGUF file of bge-reranker, '
    "jina-reranker or Qwen3-Reranker.",
}


class Pooling(IntEnum):
    """How the states of a text's tokens become one (`<architecture>.pooling_type`)."""

    NONE = 0
    MEAN = 1
    CLS = 2
    LAST = 3
    RANK = 4


def kind_of(header: GgufHeader) -> ModelKind:
    """What the model is for: a decoder that pools was made for vectors, too."""
    if header.pooling == Pooling.RANK:
        return "rerank"
    return "embedding" if header.architecture in ENCODERS or header.pooling else "chat"


def reads_at_once(header: GgufHeader) -> bool:
    """Whether a text cannot be computed piece by piece: each token sees all others, or all of them are pooled."""
    whole = header.architecture in ENCODERS or header.causal is False
    return whole or header.pooling in (Pooling.MEAN, Pooling.CLS)


def check_kind(entry: ModelEntry, wanted: ModelKind) -> None:
    """Raises `Unsupported`, with what to do, where the model is of another kind than the request wants."""
    if entry.kind != wanted:
        raise other_kind(entry.id, entry.kind, wanted)


def other_kind(model: str, kind: ModelKind, wanted: ModelKind) -> Unsupported:
    """What is said to a request that wants what a model of `kind` does not do."""
    return Unsupported(
        f"{model} {_DOES[kind]}; it is no model that {_DOES[wanted]}.", remedy=_REMEDY[wanted], param="model"
    )
