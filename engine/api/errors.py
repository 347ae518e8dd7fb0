"""Errors on the wire: every failure becomes OpenAI's error object, with the status and headers that fit it."""

from __future__ import annotations

import logging
import math

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from engine.errors import ErrorInfo, FootplateError, InternalError, NotFound, TooLarge, WorkerDied

log = logging.getLogger(__name__)

MAX_BODY = 32 * 1024 * 1024
"""Bytes of a request's body that are read at most."""


def encode_error(info: ErrorInfo, status: int) -> bytes:
    """OpenAI's error object as JSON: `{"error": {"message", "type", "code", "param"}}`."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return msgspec.json.encode(
        {"error": {"message": info.sentence(), "type": kind, "code": info.code, "param": info.param}}
    )


def error_response(info: ErrorInfo, status: int) -> web.Response:
    """The HTTP answer for an error, with `Retry-After` (whole seconds) where trying again makes sense."""
    headers = {}
    if info.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(info.retry_after_s)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        body=encode_error(info, status), status=status, headers=headers, content_type="application/json"
    )


def internal_error() -> InternalError:
    """What a client is told of a fault of ours; the log has the rest."""
    return InternalError(
        "Footplate made a mistake while answering this request.",
        meaning="The fault is Footplate's, not the request's.",
        remedy="The log says more; sending the request again may help.",
    )


def cut_short() -> WorkerDied:
    """What a client is told whose answer came to an end that was not its own."""
    return WorkerDied(
        "The answer was cut short.",
        meaning="Its model was unloaded or the host is stopping.",
        remedy="Send the request again.",
        retry_after_s=2.0,
    )


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns whatever a handler raises into an error object; only a lost connection passes through."""
    try:
        return await handler(request)
    except FootplateError as error:
        return _refuse(request, error.info, error.status)
    except web.HTTPMethodNotAllowed as error:
        response = _refuse(request, _wrong_method(request, error), error.status)
        response.headers["Allow"] = error.headers["Allow"]
        return response
    except web.HTTPNotFound as error:
        return _refuse(request, _unknown_path(request).info, error.status)
    except web.HTTPRequestEntityTooLarge as error:
        return _refuse(request, _too_large().info, error.status)
    except (web.HTTPException, ConnectionError):
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return error_response(internal_error().info, 500)


def _wrong_method(request: web.Request, error: web.HTTPMethodNotAllowed) -> ErrorInfo:
    return ErrorInfo(
        code="method_not_allowed",
        what=f"{request.path} does not answer {request.method}.",
        remedy=f"Use {error.headers['Allow']}.",
    )


def _unknown_path(request: web.Request) -> NotFound:
    return NotFound(
        f"There is nothing at {request.path}.",
        remedy="The base URL for clients ends in /v1; GET /openapi.json lists what is there.",
    )


def _too_large() -> TooLarge:
    return TooLarge(
        "The body of the request is larger than is read at all.",
        meaning=f"The limit is {MAX_BODY // 2**20} MiB.",
        remedy="Send a shorter conversation.",
    )


def _refuse(request: web.Request, info: ErrorInfo, status: int) -> web.Response:
    level = logging.WARNING if status >= 500 else logging.INFO
    log.log(level, "%s %s answered %d %s: %s", request.method, request.path, status, info.code, info.what)
    return error_response(info, status)
