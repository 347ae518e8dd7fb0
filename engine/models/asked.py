"""What somebody wants to download, as they write it: pure parsing of `REPO[:QUANT|/FILE]` and of addresses."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from engine.errors import BadInput

HUBS = ("huggingface.co", "www.huggingface.co", "hf.co")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}")
_FORM = "Write OWNER/NAME, OWNER/NAME:QUANT, OWNER/NAME/FILE, or an address that begins with https://."


class HubWish(Struct, frozen=True, kw_only=True):
    """Something of the Hub; with neither `variant` nor `file` the preferred variant."""

    repo: str
    revision: str | None = None
    variant: str | None = None
    file: str | None = None


class UrlWish(Struct, frozen=True, kw_only=True):
    """A file at an address."""

    url: str
    sha256: str | None = None


def parse(what: str, *, endpoint: str, revision: str | None = None, sha256: str | None = None) -> HubWish | UrlWish:
    """What `what` means; addresses of the Hub at `endpoint`, and of the public one, count as repositories.

    Raises `BadInput`.
    """
    what = what.strip()
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise BadInput("A SHA-256 has 64 hexadecimal digits.", param="sha256")
    hosts = (*HUBS, urlsplit(endpoint).netloc)
    if "://" not in what and what.split("/")[0] in hosts:
        what = f"https://{what}"
    if "://" not in what:
        wish: HubWish | UrlWish = _repository(what, revision)
    else:
        wish = _address(what, hosts, revision, sha256)
    if isinstance(wish, UrlWish) and revision:
        raise BadInput("An address has no revision.", param="revision")
    if isinstance(wish, HubWish) and sha256:
        raise BadInput("The Hub says itself which SHA-256 its files have.", param="sha256")
    return wish


def _address(what: str, hosts: tuple[str, ...], revision: str | None, sha256: str | None) -> HubWish | UrlWish:
    try:
        parts = urlsplit(what)
        known = parts.netloc in hosts
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
            raise ValueError("it is neither http nor https")
    except ValueError as error:
        raise BadInput(f"{what!r} is no address that can be fetched: {error}.", remedy=_FORM) from error
    if not known or parts.path.startswith(("/datasets/", "/spaces/")):
        return UrlWish(url=what, sha256=sha256.lower() if sha256 else None)
    path = unquote(parts.path).strip("/").split("/")
    if len(path) > 4 and path[2] in {"resolve", "blob"}:
        return _repository("/".join([*path[:2], *path[4:]]), revision or path[3])
    if len(path) > 3 and path[2] == "tree":
        return _repository("/".join(path[:2]), revision or path[3])
    return _repository("/".join(path), revision)


def _repository(what: str, revision: str | None) -> HubWish:
    head, colon, variant = what.partition(":")
    parts = head.split("/")
    named = len(parts) >= 2 and all(_NAME.fullmatch(part) for part in parts[:2])
    if not named or (colon and (not variant or len(parts) > 2 or "/" in variant)):
        raise BadInput(f"{what!r} names no repository.", remedy=_FORM, param="what")
    file = "/".join(parts[2:]) or None
    return HubWish(repo="/".join(parts[:2]), revision=revision, variant=variant or None, file=file)
