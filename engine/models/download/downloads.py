"""Downloads of a host: what somebody asks for becomes a job, and a job's specification becomes work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec
from msgspec import Raw

from engine.errors import DownloadFailed, HubUnreachable
from engine.models import hub
from engine.models.asked import HubWish, UrlWish, parse
from engine.models.catalog import Catalog
from engine.models.download.backoff import Patience
from engine.models.download.bandwidth import Bandwidth
from engine.models.download.plan import DownloadSpec, check_targets, of_address, of_repo, without_secrets
from engine.models.download.request import Interrupted, new_session, opened
from engine.models.download.room import Room
from engine.models.download.transfer import Shared
from engine.models.download.work import DownloadWork
from engine.models.variants import choose, single
from engine.settings import DownloadSettings
from engine.work import JobSpec

KIND = "download"
LOOK_S = 20.0
"""Seconds that a server may take to say what lies at an address."""


class Downloads:
    """Opens downloads, and holds what they share."""

    def __init__(
        self,
        models: Path,
        catalog: Catalog,
        settings: Callable[[], DownloadSettings],
        patience: Patience | None = None,
    ) -> None:
        """`models` is the folder that everything is put into."""
        self._models = models
        self._catalog = catalog
        self._settings = settings
        self._patience = patience or Patience()
        self._session: aiohttp.ClientSession | None = None
        self._tokens: dict[str, str] = {}
        bandwidth = Bandwidth(lambda: settings().limit_mb_s)
        self._shared = Shared(self._open_session, bandwidth, Room(), self._patience)

    async def order(
        self, what: str, *, revision: str | None = None, sha256: str | None = None, access: str | None = None
    ) -> JobSpec:
        """The job that fetches what `what` names (see `engine.models.asked`).

        `access` is a token for this repository, which is kept in memory only. Raises `FootplateError`.
        """
        wish = parse(what, endpoint=hub.endpoint(), revision=revision, sha256=sha256)
        title, spec = await (self._of_address(wish) if isinstance(wish, UrlWish) else self._of_repo(wish, access))
        check_targets(spec)
        return JobSpec(
            kind=KIND,
            key=" ".join(sorted(f"{file.target} {file.identity}" for file in spec.files)),
            title=title,
            folder=str(Path(spec.files[0].target).parent),
            detail=Raw(msgspec.json.encode(spec)),
        )

    def open(self, detail: Raw) -> DownloadWork:
        """The work of a job."""
        spec = msgspec.json.decode(detail, type=DownloadSpec)

        async def token() -> str | None:
            if spec.repo is None or spec.endpoint != hub.endpoint():
                return None
            return self._tokens.get(spec.repo) or await hub.token()

        return DownloadWork(spec, self._shared, lambda: self._settings().files_at_once, token, self._found)

    async def close(self) -> None:
        """Closes the connections."""
        session, self._session = self._session, None
        if session:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = new_session(self._patience)
        return self._session

    async def _of_repo(self, wish: HubWish, access: str | None) -> tuple[str, DownloadSpec]:
        found = await hub.repo(wish.repo, revision=wish.revision, access=access)
        if wish.file:
            variant = single(found.files, wish.file, found.id)
            title = f"{found.id}/{wish.file}"
        else:
            variant = choose(found.variants, wish.variant, found.id)
            title = f"{found.id}:{variant.name}" if variant.quantization else found.id
        if access:
            self._tokens[found.id] = access
        return title, of_repo(found, variant, self._models, hub.endpoint())

    async def _of_address(self, wish: UrlWish) -> tuple[str, DownloadSpec]:
        """Asks the server what lies at the address; its body is not read."""
        where = without_secrets(wish.url)
        try:
            async with (
                asyncio.timeout(LOOK_S),
                opened(self._open_session(), wish.url, {}, about=where, hub=False) as response,
            ):
                size = response.content_length
                headers = response.headers
                disposition = response.content_disposition
                suggested = disposition.filename if disposition else None
        except (Interrupted, TimeoutError) as error:
            why = str(error) or f"it has not answered within {LOOK_S:.0f} s"
            raise HubUnreachable(f"{where} cannot be fetched now: {why}.", remedy="Try again later.") from error
        if response.status != 200:
            raise DownloadFailed(f"{where} answered {response.status}.")
        tag = headers.get("ETag", "")
        validator = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
        return where, of_address(wish.url, suggested, size, validator, wish.sha256, self._models)

    async def _found(self, targets: frozenset[str]) -> tuple[str, ...]:
        await self._catalog.scan()
        return tuple(entry.id for entry in self._catalog.models if entry.path in targets)
