"""The routes of jobs and of the Hub."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from engine.api.control.wire import EmptyBody, Handler, LimitBody, PullBody, answer, number, read_body
from engine.errors import BadInput
from engine.models import hub
from engine.parts import Parts

Route = Callable[[str, str, Handler], web.RouteDef]

MOST_FOUND = 100
"""Models of one search."""


class JobRoutes:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self, route: Route) -> list[web.RouteDef]:
        """Every route, made by `route`."""
        one = "/control/jobs/{id:[0-9]+}"
        return [
            route("GET", "/control/jobs", self.jobs),
            route("DELETE", one, self.remove),
            route("POST", f"{one}/pause", self.pause),
            route("POST", f"{one}/resume", self.resume),
            route("POST", f"{one}/cancel", self.cancel),
            route("POST", "/control/downloads", self.pull),
            route("POST", "/control/downloads/limit", self.limit),
            route("GET", "/control/hub", self.search),
            route("GET", "/control/hub/{repo:[^/]+/[^/]+}", self.repo),
        ]

    async def jobs(self, request: web.Request) -> web.Response:
        """Every job, the newest first."""
        return answer(self._parts.jobs.infos)

    async def pull(self, request: web.Request) -> web.Response:
        """Queues a download."""
        body = await read_body(request, PullBody)
        spec = await self._parts.downloads.order(
            body.what, revision=body.revision, sha256=body.sha256, access=body.token
        )
        return answer(await self._parts.jobs.start(spec), 202)

    async def limit(self, request: web.Request) -> web.Response:
        """Limits what all downloads take together, now and at the next start."""
        limit = (await read_body(request, LimitBody)).mb_s
        settings = await self._parts.settings.change("downloads", limit_mb_s=limit)
        return answer(settings.downloads)

    async def pause(self, request: web.Request) -> web.Response:
        """Halts a job."""
        await read_body(request, EmptyBody)
        return answer(await self._parts.jobs.pause(number(request)))

    async def resume(self, request: web.Request) -> web.Response:
        """Takes a job up again."""
        await read_body(request, EmptyBody)
        return answer(await self._parts.jobs.resume(number(request)))

    async def cancel(self, request: web.Request) -> web.Response:
        """Ends a job and removes what is half done."""
        await read_body(request, EmptyBody)
        return answer(await self._parts.jobs.cancel(number(request)))

    async def remove(self, request: web.Request) -> web.Response:
        """Takes a job that is over out of the list."""
        await self._parts.jobs.remove(number(request))
        return answer(None)

    async def search(self, request: web.Request) -> web.Response:
        """Models of the Hub that match `q`, at most `limit`."""
        try:
            limit = min(MOST_FOUND, max(1, int(request.query.get("limit", "20"))))
        except ValueError as error:
            raise BadInput("limit must be a whole number.", param="limit") from error
        return answer(await hub.search(request.query.get("q", "").strip(), limit=limit))

    async def repo(self, request: web.Request) -> web.Response:
        """A repository of the Hub with its variants."""
        return answer(await hub.repo(request.match_info["repo"], revision=request.query.get("revision")))
