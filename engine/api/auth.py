"""Who may ask: API keys, and the checks that keep foreign web pages away from a server on this machine.

A page in a browser can reach 127.0.0.1. Its requests carry the page's `Origin`, which is refused; after DNS rebinding
they count as same-origin, but then carry the page's own name as `Host`, which is refused, too.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import platform
import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from engine.errors import Forbidden, Unauthorized

OPEN_PATHS = frozenset({"/health", "/v1/health"})
"""Answered without a key, for load balancers and monitors."""


def hash_key(key: str) -> str:
    """A salted hash of an API key, as kept in the settings."""
    salt = secrets.token_hex(16)
    return f"sha256${salt}${_digest(salt, key)}"


def key_matches(key: str, hashes: Iterable[str]) -> bool:
    """Whether `key` is one of those that were hashed; takes the same time whichever it is."""
    found = False
    for entry in hashes:
        scheme, _, rest = entry.partition("$")
        salt, _, digest = rest.partition("$")
        found |= scheme == "sha256" and hmac.compare_digest(_digest(salt, key), digest)
    return found


def require_key(hashes: Iterable[str]) -> Middleware:
    """Middleware that wants one of the keys as `Authorization: Bearer …`; without hashes everybody may ask."""
    known = tuple(hashes)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if known and request.path not in OPEN_PATHS:
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not key_matches(key.strip(), known):
                raise Unauthorized(
                    "The API key is wrong." if key else "No API key was sent.",
                    meaning="This server answers only requests with one of its keys.",
                    remedy="Send it as the header 'Authorization: Bearer <key>'.",
                )
        return await handler(request)

    return check


def refuse_foreign_hosts(names: Iterable[str]) -> Middleware:
    """Middleware that answers only under addresses, loopback names, this machine's name, and `names`.

    An address in `Host` is never the work of DNS rebinding, which needs a name.
    """
    own = platform.node().lower()
    known = {"localhost", own, f"{own}.local", *(name.lower().rstrip(".") for name in names)} - {""}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host")
        if host is not None:
            name = _hostname(host)
            if name not in known and not _is_address(name):
                raise Forbidden(
                    f"This server does not answer under the name {host!r}.",
                    meaning="A web page may be trying to reach it by DNS rebinding.",
                    remedy="Use 127.0.0.1, localhost, or the machine's own name or address.",
                )
        return await handler(request)

    return check


@web.middleware
async def refuse_foreign_origins(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware that refuses every request, WebSocket and preflight sent by a page of another origin."""
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2].lower() != request.headers.get("Host", "").lower():
        raise Forbidden(
            f"Requests from web pages of {origin!r} are refused.",
            meaning="Any page open in a browser could use this server otherwise.",
            remedy="Call it from a program rather than from a page.",
        )
    return await handler(request)


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _digest(salt: str, key: str) -> str:
    return hashlib.sha256(f"{salt}{key}".encode()).hexdigest()
