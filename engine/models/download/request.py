"""One request for the rest of a file: redirections followed by hand, and what the answers mean."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from engine import version
from engine.errors import DownloadFailed, FootplateError, NotFound, Unauthorized
from engine.models.download.backoff import Patience
from engine.models.download.plan import without_secrets
from engine.models.hub_errors import refusal, retry_after

HOPS = 8
_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524})
"""Answers that mean: try again."""


class Interrupted(Exception):
    """Nothing more comes now, and trying again makes sense."""

    def __init__(self, reason: str, *, asked_s: float | None = None, refused: bool = False) -> None:
        """`asked_s`: the server wants so many seconds of peace; `refused`: it is no fault of the network."""
        super().__init__(reason)
        self.asked_s = asked_s
        self.refused = refused


def new_session(patience: Patience) -> aiohttp.ClientSession:
    """The session of all downloads. Compressed bodies are left as they are: ranges count what is sent."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"footplate/{version.installed()}", "Accept-Encoding": "identity"},
        read_bufsize=2**20,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=patience.connect_s, sock_read=patience.silent_s),
        trust_env=True,
    )


@asynccontextmanager
async def opened(
    session: aiohttp.ClientSession,
    url: str,
    headers: dict[str, str],
    *,
    about: str,
    hub: bool,
    token: str | None = None,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer (200, 206 or 416) to a GET for `url`, wherever it is redirected to.

    `hub` says that the address is the Hub's; `token` is sent to the host of `url` alone. Raises `Interrupted`, or the
    `FootplateError` that the refusal means.
    """
    start = here = URL(url, encoded=True)
    for _ in range(HOPS):
        mine = token is not None and here.origin() == start.origin()
        sent = {**headers, "Authorization": f"Bearer {token}"} if mine else headers
        try:
            response = await session.get(here, headers=sent, allow_redirects=False)
        except (aiohttp.InvalidURL, ValueError) as error:
            raise DownloadFailed(f"{about} lies at an address that cannot be used: {error}.") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Interrupted(reason(error, here.host or "")) from error
        async with response:
            if response.status in _REDIRECTIONS and "Location" in response.headers:
                here = _next(here, response.headers["Location"], about)
                continue
            if response.status not in {200, 206, 416}:
                raise _refused(response, about, start, hub=hub, with_token=token is not None)
            yield response
            return
    raise DownloadFailed(f"{about} is redirected more than {HOPS} times.")


def reason(error: BaseException, host: str) -> str:
    """Why nothing comes, as the end of a sentence."""
    if isinstance(error, TimeoutError):
        return f"{host} is silent"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{host} cannot be reached ({error.os_error.strerror or error.os_error})"
    if isinstance(error, aiohttp.ClientPayloadError | ConnectionError | aiohttp.ServerDisconnectedError):
        return f"the connection to {host} was lost"
    return f"{host}: {str(error) or type(error).__name__}"


def _next(here: URL, location: str, about: str) -> URL:
    try:
        there = here.join(URL(location, encoded=True))
    except ValueError as error:
        raise DownloadFailed(f"{about} is redirected to an address that cannot be used.") from error
    if there.scheme not in {"http", "https"} or (here.scheme == "https" and there.scheme == "http"):
        raise DownloadFailed(f"{about} is redirected to {there.scheme}, which is not safe.")
    return there


def _refused(
    response: aiohttp.ClientResponse, about: str, start: URL, *, hub: bool, with_token: bool
) -> Interrupted | FootplateError:
    """What an answer means that is neither the file nor the rest of it."""
    status, headers, here = response.status, response.headers, response.url
    if status in _PASSING:
        why = "wants fewer requests" if status == 429 else f"answers {status}"
        return Interrupted(f"{here.host} {why}", asked_s=retry_after(headers))
    if here.origin() != start.origin() and status in {401, 403, 404, 410}:
        return Interrupted(f"{here.host} no longer accepts the address it was given ({status})", refused=True)
    if hub:
        return refusal(status, headers, about, str(start.origin()), with_token=with_token)
    return _plain_refusal(status, start)


def _plain_refusal(status: int, start: URL) -> FootplateError:
    where = without_secrets(str(start))
    if status in {404, 410}:
        return NotFound(f"There is nothing at {where}.", remedy="Look at its spelling.")
    if status in {401, 403}:
        return Unauthorized(f"{start.host} gives {where} only to those it knows ({status}).")
    return DownloadFailed(f"{start.host} answered {status} for {where}.")
