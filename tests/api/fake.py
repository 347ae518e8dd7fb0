"""An engine without models: it says what a test has written for it, and notes what it was asked."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from engine.errors import ModelNotFound
from engine.types import (
    Delta,
    Embeddings,
    EmbedRequest,
    Finish,
    GenerateRequest,
    HostStatus,
    ModelEntry,
    Output,
    Ranking,
    RerankRequest,
    Timings,
    TokenizeRequest,
    Tokens,
    Usage,
    WorkerInfo,
)

FINISH = Finish(
    reason="stop",
    usage=Usage(prompt_tokens=12, completion_tokens=3, cached_tokens=4),
    timings=Timings(queued_s=0.5, prefill_s=0.25, decode_s=0.5),
)
HELLO: tuple[Output, ...] = (Delta(text="Hel", tokens=1), Delta(text="lo", tokens=1), FINISH)

Serve = Callable[..., Awaitable[str]]
"""Starts a server with arguments of `build_app`; its base URL."""

Step = Output | Exception | asyncio.Event
"""What a script does next: yield, raise, or wait."""


class FakeEngine:
    """Satisfies `engine.api.engine.Engine` by shape."""

    def __init__(self) -> None:
        self.script: Sequence[Step] = HELLO
        self.entries = [
            ModelEntry(id="guide", path="/m/guide.gguf", format="gguf", size=5_000_000, context_length=4096),
            ModelEntry(id="maker/big", path="/m/big.gguf", format="gguf", size=9_000_000_000),
        ]
        self.workers: tuple[WorkerInfo, ...] = ()
        self.asked: list[tuple[str, GenerateRequest]] = []
        self.embedded: list[tuple[str, EmbedRequest]] = []
        self.ranked: list[tuple[str, RerankRequest]] = []
        self.yielded = 0
        self.began = asyncio.Event()
        self.closed = asyncio.Event()
        """Set when a generation has ended, whichever way."""

    def active_model(self) -> str:
        return "guide"

    def models(self) -> Sequence[ModelEntry]:
        return self.entries

    def find(self, name: str) -> ModelEntry:
        for entry in self.entries:
            if entry.id == name:
                return entry
        raise ModelNotFound(f"There is no model {name!r}.", remedy="There are guide and maker/big.", param="model")

    async def generate(self, model: str, request: GenerateRequest) -> AsyncGenerator[Output, None]:
        self.asked.append((model, request))
        self.began.set()
        try:
            for step in self.script:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    self.yielded += 1
                    yield step
        finally:
            self.closed.set()

    async def embed(self, model: str, request: EmbedRequest) -> Embeddings:
        self.embedded.append((model, request))
        width = min(request.dimensions or 3, 3)
        vectors = tuple(
            struct.pack("<3f", index, len(text), 0.5)[: 4 * width] for index, text in enumerate(request.inputs)
        )
        return Embeddings(vectors=vectors, prompt_tokens=sum(map(len, request.inputs)))

    async def rerank(self, model: str, request: RerankRequest) -> Ranking:
        self.ranked.append((model, request))
        scores = tuple(len(document) / (1 + len(document)) for document in request.documents)
        return Ranking(scores=scores, prompt_tokens=7)

    async def tokenize(self, model: str, request: TokenizeRequest) -> Tokens:
        messages = request.request.messages if request.request else ()
        text = request.text or "".join(message.content for message in messages)
        pieces = tuple(bytes([byte]) for byte in text.encode())
        return Tokens(ids=tuple(piece[0] for piece in pieces), pieces=pieces)

    async def detokenize(self, model: str, tokens: tuple[int, ...]) -> str:
        return bytes(token % 256 for token in tokens).decode("utf-8", "replace")

    def status(self) -> HostStatus:
        return HostStatus(
            version="1", pid=1, started=1000.0, serve=True, home="/h", active_model="guide", workers=self.workers
        )
