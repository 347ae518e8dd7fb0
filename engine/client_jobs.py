"""The part of EngineClient that is about jobs, downloads and the Hub."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

from engine.settings import DownloadSettings
from engine.types import HubModel, HubRepo, JobInfo

T = TypeVar("T")


class _Caller(Protocol):
    async def _call(
        self, method: str, path: str, kind: type[T], body: dict[str, Any] | None = None, *, patient: bool = False
    ) -> T: ...


class JobCalls:
    """Calls about jobs. Every method raises `FootplateError`s and nothing else."""

    async def jobs(self: _Caller) -> tuple[JobInfo, ...]:
        """Every job, the newest first."""
        return await self._call("GET", "/jobs", tuple[JobInfo, ...])

    async def pull(
        self: _Caller, what: str, *, revision: str | None = None, sha256: str | None = None, token: str | None = None
    ) -> JobInfo:
        """Queues the download of `OWNER/NAME[:QUANT|/FILE]` or of an address; an unfinished one is taken up again.

        `token` is used for this repository instead of the host's own, and not stored.
        """
        body = {"what": what, "revision": revision, "sha256": sha256, "token": token}
        return await self._call("POST", "/downloads", JobInfo, body, patient=True)

    async def pause_job(self: _Caller, job: int) -> JobInfo:
        """Halts a job, which keeps what it has."""
        return await self._call("POST", f"/jobs/{job}/pause", JobInfo, {})

    async def resume_job(self: _Caller, job: int) -> JobInfo:
        """Takes a paused, failed or cancelled job up again."""
        return await self._call("POST", f"/jobs/{job}/resume", JobInfo, {})

    async def cancel_job(self: _Caller, job: int) -> JobInfo:
        """Ends a job and removes what is half done."""
        return await self._call("POST", f"/jobs/{job}/cancel", JobInfo, {})

    async def remove_job(self: _Caller, job: int) -> None:
        """Takes a job that is over out of the list."""
        await self._call("DELETE", f"/jobs/{job}", type(None))

    async def limit_downloads(self: _Caller, mb_s: float) -> DownloadSettings:
        """Limits all downloads together to so many millions of bytes a second; 0 is no limit. It is kept."""
        return await self._call("POST", "/downloads/limit", DownloadSettings, {"mb_s": mb_s})

    async def search_hub(self: _Caller, query: str, limit: int = 20) -> tuple[HubModel, ...]:
        """Models of the Hub that match, the most downloaded first."""
        options = urlencode({"q": query, "limit": limit})
        return await self._call("GET", f"/hub?{options}", tuple[HubModel, ...], patient=True)

    async def hub_repo(self: _Caller, repo: str, revision: str | None = None) -> HubRepo:
        """A repository of the Hub, with its variants and their sizes."""
        options = f"?{urlencode({'revision': revision})}" if revision else ""
        return await self._call("GET", f"/hub/{quote(repo)}{options}", HubRepo, patient=True)
