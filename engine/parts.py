"""The parts of a running host, and what its HTTP faces ask of them."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from engine import embed as encoding
from engine import generate as generation
from engine.api.limits import Admission
from engine.api.switch import ApiSwitch
from engine.bus import Bus
from engine.chat.conversations import Conversations
from engine.chat.turns import Turns
from engine.events import Snapshot
from engine.fleet.fleet import Fleet
from engine.jobs import Jobs
from engine.models.catalog import Catalog
from engine.models.download.downloads import Downloads
from engine.paths import Paths
from engine.presence import Presence
from engine.settings import SettingsStore
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


@dataclass(frozen=True, slots=True)
class Identity:
    """What does not change while a host runs."""

    version: str
    started: float
    """Unix time."""
    serve: bool
    paths: Paths


@dataclass(slots=True, kw_only=True)
class Parts:
    """Everything the host is made of. Built by `engine.host` alone; satisfies `engine.api.engine.Engine`."""

    identity: Identity
    settings: SettingsStore
    bus: Bus
    presence: Presence
    admission: Admission
    catalog: Catalog
    fleet: Fleet
    conversations: Conversations
    turns: Turns
    jobs: Jobs
    downloads: Downloads
    api: ApiSwitch
    stop: Callable[[str], None]
    """Begins the orderly end of the host, for the reason given."""

    def active_model(self) -> str:
        """Id of the model that answers where a request names none."""
        return self.catalog.active

    def models(self) -> tuple[ModelEntry, ...]:
        """Every model, usable or not."""
        return self.catalog.models

    def find(self, name: str) -> ModelEntry:
        """The model of that name. Raises `ModelNotFound`, which names what exists."""
        return self.catalog.find(name)

    async def generate(self, model: str, request: GenerateRequest) -> AsyncGenerator[Output, None]:
        """One generation of an API request; see `engine.generate.generate`."""
        with self.presence.hold("requests"):
            async with aclosing(generation.generate(self.fleet, model, request)) as outputs:
                async for output in outputs:
                    yield output

    async def embed(self, model: str, request: EmbedRequest) -> Embeddings:
        """The vectors of an API request's texts; see `engine.embed.embed`."""
        with self.presence.hold("requests"):
            return await encoding.embed(self.fleet, model, request)

    async def rerank(self, model: str, request: RerankRequest) -> Ranking:
        """The scores of an API request's documents."""
        with self.presence.hold("requests"):
            return await encoding.rerank(self.fleet, model, request)

    async def tokenize(self, model: str, request: TokenizeRequest) -> Tokens:
        """The tokens of a text or of a request's prompt."""
        with self.presence.hold("requests"):
            async with self.fleet.lease(model) as worker:
                return await worker.tokenize(request)

    async def detokenize(self, model: str, tokens: tuple[int, ...]) -> str:
        """The text of tokens."""
        with self.presence.hold("requests"):
            async with self.fleet.lease(model) as worker:
                return await worker.detokenize(tokens)

    def status(self) -> HostStatus:
        """How the host and its workers are."""
        paths = self.identity.paths
        return HostStatus(
            version=self.identity.version,
            pid=os.getpid(),
            started=self.identity.started,
            serve=self.identity.serve,
            home=str(paths.data.parent if paths.contained else paths.data),
            active_model=self.catalog.active,
            workers=self.fleet.workers,
            api=self.api.state,
            screens=self.presence.count("screens"),
            turns=self.presence.count("turns"),
            requests=self.presence.count("requests"),
            jobs=self.presence.count("jobs"),
        )

    def snapshot(self) -> Snapshot:
        """What a screen starts from."""
        return Snapshot(
            status=self.status(),
            models=self.catalog.models,
            conversations=self.conversations.summaries,
            jobs=self.jobs.infos,
        )
