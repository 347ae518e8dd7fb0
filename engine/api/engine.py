"""What the HTTP face needs of the rest of the engine; the host's parts satisfy it by shape."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from engine.types import (
    Embeddings,
    EmbedRequest,
    GenerateRequest,
    HostStatus,
    ModelEntry,
    Output,
    Ranking,
    RerankRequest,
    TokenizeRequest,
    Tokens,
)


class Engine(Protocol):
    """The models, and the way to ask one of them."""

    def active_model(self) -> str:
        """Id of the model that answers where a request names none."""
        ...

    def models(self) -> Sequence[ModelEntry]:
        """Every model the catalog knows, usable or not."""
        ...

    def find(self, name: str) -> ModelEntry:
        """The model of that name. Raises `ModelNotFound`, which names what exists."""
        ...

    def generate(self, model: str, request: GenerateRequest) -> AsyncGenerator[Output, None]:
        """One generation by the model of that id, loaded first where it is not.

        Yields deltas and prefill notes, then one `Finish`. Closing the generator cancels. Raises `FootplateError`.
        """
        ...

    async def embed(self, model: str, request: EmbedRequest) -> Embeddings:
        """The vectors of texts, by the model of that id, loaded first where it is not.

        Cancelling calls the work off. Raises `FootplateError`, `Unsupported` for a model of another kind.
        """
        ...

    async def rerank(self, model: str, request: RerankRequest) -> Ranking:
        """The scores of documents, likewise."""
        ...

    async def tokenize(self, model: str, request: TokenizeRequest) -> Tokens:
        """The tokens of a text or of a request's prompt, by the model of that id. Raises as `generate` does."""
        ...

    async def detokenize(self, model: str, tokens: tuple[int, ...]) -> str:
        """The text of tokens, likewise."""
        ...

    def status(self) -> HostStatus:
        """How the host and its workers are."""
        ...
