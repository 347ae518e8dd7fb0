"""Bodies of the control API, and how its handlers read and answer JSON."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from engine.errors import BadInput, FootplateError, InternalError

log = logging.getLogger(__name__)

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all bodies: what is not known is refused."""


class ModelBody(_Body, frozen=True, kw_only=True):
    """Names a model."""

    model: str


class TitleBody(_Body, frozen=True, kw_only=True):
    """Another title for a conversation."""

    title: str


class EmptyBody(_Body, frozen=True, kw_only=True):
    """Nothing."""


class TurnBody(_Body, frozen=True, kw_only=True):
    """What the user says, where, and to which model (`None`: a new conversation, the active model)."""

    text: str
    conversation: int | None = None
    model: str | None = None


class ApiBody(_Body, frozen=True, kw_only=True):
    """How the API is to be; what is left out stays as the settings have it."""

    enabled: bool
    host: str | None = None
    port: int | None = None
    api_key: str | None = None


class StopBody(_Body, frozen=True, kw_only=True):
    """Ends the host; with `force` even while something runs."""

    force: bool = False


class PullBody(_Body, frozen=True, kw_only=True):
    """What is to be downloaded: `OWNER/NAME[:QUANT|/FILE]` or an address."""

    what: str
    revision: str | None = None
    sha256: str | None = None
    """Of what lies at an address."""
    token: str | None = None
    """For this repository, instead of the host's own; it is not stored."""


class LimitBody(_Body, frozen=True, kw_only=True):
    """Millions of bytes a second for all downloads together; 0 is no limit."""

    mb_s: float


class TurnStarted(Struct, frozen=True, kw_only=True):
    """Where a turn goes on: the conversation, and the message that will hold the answer."""

    conversation: int
    message: int


class ErrorBody(Struct, frozen=True, kw_only=True):
    """An error as it is answered."""

    error: Any


async def read_body(request: web.Request, kind: type[T]) -> T:
    """The body as a `kind`; an absent one counts as `{}`. Raises `BadInput` naming the field."""
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except msgspec.MsgspecError as error:
        raise BadInput(f"The body of {request.method} {request.path} is not as expected: {error}.") from error


def answer(value: Any, status: int = 200) -> web.Response:
    """`value` as JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def number(request: web.Request) -> int:
    """The id in the path."""
    return int(request.match_info["id"])


def errors_as_data(handler: Handler) -> Handler:
    """Answers `{"error": ErrorInfo}` with the status of the error's class for whatever `handler` raises."""

    @functools.wraps(handler)
    async def checked(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except FootplateError as error:
            log.info("%s %s: %s", request.method, request.path, error)
            return answer(ErrorBody(error=error.info), error.status)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            fault = InternalError("Footplate made a mistake while answering.", remedy="The host's log says more.")
            return answer(ErrorBody(error=fault.info), fault.status)

    return checked
