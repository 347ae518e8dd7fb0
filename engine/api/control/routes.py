"""The routes of the control API."""

from __future__ import annotations

import asyncio

from aiohttp import web

from engine.api.control.events import stream_events
from engine.api.control.jobs import JobRoutes
from engine.api.control.wire import (
    ApiBody,
    EmptyBody,
    Handler,
    ModelBody,
    StopBody,
    TitleBody,
    TurnBody,
    TurnStarted,
    answer,
    errors_as_data,
    number,
    read_body,
)
from engine.chat.history import title
from engine.errors import BadInput, Conflict
from engine.parts import Parts


def add_routes(app: web.Application, parts: Parts) -> None:
    """Adds the control API over `parts` to the application of the Unix socket."""
    app.add_routes(ControlRoutes(parts).routes())


class ControlRoutes:
    """The handlers. What changes something is finished even when the caller is gone before the answer."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._begun: set[asyncio.Task[web.StreamResponse]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Every route."""
        one = "/control/conversations/{id:[0-9]+}"
        return [
            web.get("/control/events", errors_as_data(self.events)),
            self._route("GET", "/control/status", self.status),
            self._route("GET", "/control/models", self.models),
            self._route("POST", "/control/models/select", self.select_model),
            self._route("POST", "/control/models/load", self.load_model),
            self._route("POST", "/control/models/unload", self.unload_model),
            self._route("GET", "/control/conversations", self.conversations),
            self._route("POST", "/control/conversations", self.new_conversation),
            self._route("GET", one, self.conversation),
            self._route("PATCH", one, self.rename_conversation),
            self._route("DELETE", one, self.delete_conversation),
            self._route("POST", "/control/turns", self.send_turn),
            self._route("POST", "/control/turns/{id:[0-9]+}/stop", self.stop_turn),
            self._route("POST", "/control/api", self.set_api),
            *JobRoutes(self._parts).routes(self._route),
            self._route("POST", "/control/stop", self.stop_host),
        ]

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The WebSocket of events."""
        return await stream_events(request, self._parts)

    async def status(self, request: web.Request) -> web.Response:
        """How the host is."""
        return answer(self._parts.status())

    async def models(self, request: web.Request) -> web.Response:
        """The models, looked for anew."""
        await self._parts.catalog.scan()
        return answer(self._parts.models())

    async def select_model(self, request: web.Request) -> web.Response:
        """Makes a model the one that answers, now and at the next start."""
        found = await self._parts.catalog.resolve((await read_body(request, ModelBody)).model)
        entry = self._parts.catalog.select(found.id)
        await self._parts.settings.change("models", default=entry.id)
        return answer(entry)

    async def load_model(self, request: web.Request) -> web.Response:
        """Loads a model; answers when it is loaded."""
        model = (await self._parts.catalog.resolve((await read_body(request, ModelBody)).model)).id
        with self._parts.presence.hold("loads"):
            async with self._parts.fleet.lease(model) as worker:
                return answer(worker.info)

    async def unload_model(self, request: web.Request) -> web.Response:
        """Ends a model's worker."""
        await self._parts.fleet.unload((await read_body(request, ModelBody)).model)
        return answer(None)

    async def conversations(self, request: web.Request) -> web.Response:
        """The list of conversations."""
        return answer(self._parts.conversations.summaries)

    async def new_conversation(self, request: web.Request) -> web.Response:
        """Begins an empty conversation."""
        await read_body(request, EmptyBody)
        return answer(await self._parts.conversations.create(), 201)

    async def conversation(self, request: web.Request) -> web.Response:
        """A conversation with what has been written up to now."""
        return answer(await self._parts.turns.read(number(request)))

    async def rename_conversation(self, request: web.Request) -> web.Response:
        """Gives a conversation another title."""
        wanted = title((await read_body(request, TitleBody)).title)
        if not wanted:
            raise BadInput("A title cannot be empty.", param="title")
        return answer(await self._parts.conversations.rename(number(request), wanted))

    async def delete_conversation(self, request: web.Request) -> web.Response:
        """Deletes a conversation."""
        await self._parts.turns.delete(number(request))
        return answer(None)

    async def send_turn(self, request: web.Request) -> web.Response:
        """Stores what the user says and begins the answer."""
        body = await read_body(request, TurnBody)
        model = (await self._parts.catalog.resolve(body.model or self._parts.active_model())).id
        conversation, message = await self._parts.turns.start(body.text, body.conversation, model)
        return answer(TurnStarted(conversation=conversation, message=message), 202)

    async def stop_turn(self, request: web.Request) -> web.Response:
        """Ends an answer early."""
        await self._parts.turns.stop(number(request))
        return answer(None)

    async def set_api(self, request: web.Request) -> web.Response:
        """Opens or closes the API on TCP."""
        body = await read_body(request, ApiBody)
        state = await self._parts.api.change(body.enabled, host=body.host, port=body.port, api_key=body.api_key)
        return answer(state)

    async def stop_host(self, request: web.Request) -> web.Response:
        """Ends the host, unless something runs."""
        force = (await read_body(request, StopBody)).force
        status = self._parts.status()
        if not force and (status.turns or status.requests or status.jobs):
            raise Conflict(
                f"{status.turns} answers, {status.requests} API requests and {status.jobs} jobs are under way.",
                meaning="Stopping the host would end them; jobs go on when a host starts again.",
                remedy="Wait for them, or stop it by force.",
            )
        self._parts.stop("It was asked to stop.")
        return answer(None, 202)

    def _route(self, method: str, path: str, handler: Handler) -> web.RouteDef:
        async def finished(request: web.Request) -> web.StreamResponse:
            task = asyncio.create_task(held(request))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)
            return await asyncio.shield(task)

        async def held(request: web.Request) -> web.StreamResponse:
            with self._parts.presence.hold("calls"):
                return await errors_as_data(handler)(request)

        return web.route(method, path, finished)
