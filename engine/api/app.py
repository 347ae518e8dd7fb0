"""The web application: routes and the checks every request passes, in order."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from engine.api.auth import refuse_foreign_hosts, refuse_foreign_origins, require_key
from engine.api.engine import Engine
from engine.api.errors import MAX_BODY, errors_as_json
from engine.api.limits import Admission
from engine.api.openai.routes import OpenAIRoutes
from engine.api.sse import Pace
from engine.types import WorkerState


def build_app(
    engine: Engine,
    *,
    local: bool,
    key_hashes: Iterable[str] = (),
    names: Iterable[str] = (),
    admission: Admission | None = None,
    pace: Pace | None = None,
) -> web.Application:
    """The public API over `engine`, to be served by a `Listener`.

    `local` is for the Unix socket, whose file permissions decide who may ask: neither keys nor `Host` are
    checked there. `names` are host names to answer under besides this machine's own. Listeners may share `admission`.
    """
    middlewares: list[Middleware] = [errors_as_json, refuse_foreign_origins]
    if not local:
        middlewares += [refuse_foreign_hosts(names), require_key(key_hashes)]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY)
    app.add_routes(OpenAIRoutes(engine, admission or Admission(), pace or Pace()).routes())

    async def health(request: web.Request) -> web.Response:
        state, status = _health(engine)
        return web.Response(body=msgspec.json.encode(state), status=status, content_type="application/json")

    app.add_routes([web.get("/health", health), web.get("/v1/health", health)])
    return app


def _health(engine: Engine) -> tuple[dict[str, str], int]:
    """Whether the active model can answer; one that is not loaded is loaded by the first request, which is fine."""
    model = engine.active_model()
    worker = next((worker for worker in engine.status().workers if worker.model == model), None)
    crashed = worker is not None and worker.state is WorkerState.CRASHED
    told = {"status": "error" if crashed else "ok", "model": model}
    if worker is not None:
        told["worker"] = worker.state.value
    return told, 503 if crashed else 200
