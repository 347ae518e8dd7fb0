"""The Hugging Face Hub's metadata: searches, lists of files, tokens. Files themselves are fetched by `download`.

The library is imported when first needed, and works in a thread of its own under our time-outs, for it has none.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from engine.errors import HubUnreachable
from engine.models.hub_errors import in_words
from engine.models.variants import safe_path, variants
from engine.types import HubFile, HubModel, HubRepo

log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER_S = 20.0
"""Seconds within which the Hub has to answer."""
_DETAILS = ["downloads", "likes", "lastModified", "gated"]


def endpoint() -> str:
    """The Hub's address: HF_ENDPOINT, or the public one."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


async def token() -> str | None:
    """The user's token: HF_TOKEN, or what `hf auth login` has stored below HF_HOME."""

    def read() -> str | None:
        from huggingface_hub import get_token  # noqa: PLC0415 - a third of a second, needed for the Hub alone

        return get_token()

    return await asyncio.to_thread(read)


async def search(query: str, *, limit: int, details: bool = True, seconds: float = ANSWER_S) -> tuple[HubModel, ...]:
    """Models that match, the most downloaded first. Raises `HubUnreachable` and its kin."""

    def work() -> tuple[HubModel, ...]:
        options: dict[str, Any] = {"expand": _DETAILS} if details else {}
        found = _api().list_models(search=query, sort="downloads", limit=limit, **options)
        return tuple(_model(model) for model in found)

    return await _asked(work, f"the search for {query[:100]!r}", seconds)


async def repo(name: str, *, revision: str | None = None, access: str | None = None) -> HubRepo:
    """A repository with its files and variants, at the commit that `revision` means now.

    `access` is a token to use instead of the user's own. Raises `NotFound`, `GatedModel`, `RateLimited`,
    `HubUnreachable`.
    """

    def work() -> HubRepo:
        info = _api(access).model_info(name, revision=revision, files_metadata=True, timeout=ANSWER_S)
        listed = [_file(sibling) for sibling in info.siblings or []]
        files = tuple(file for file in listed if safe_path(file.path))
        if unsafe := [file.path for file in listed if not safe_path(file.path)]:
            log.warning("%s has files whose names are not used here: %.500r", name, unsafe)
        return HubRepo(
            id=info.id,
            commit=info.sha or revision or "main",
            gated=bool(info.gated),
            downloads=info.downloads,
            likes=info.likes,
            variants=variants(files),
            files=files,
        )

    return await _asked(work, name, ANSWER_S, with_token=access is not None)


def _api(access: str | None = None) -> Any:
    from huggingface_hub import HfApi, constants  # noqa: PLC0415 - a third of a second, needed for the Hub alone

    constants.HF_HUB_DISABLE_TELEMETRY = True
    return HfApi(endpoint=endpoint(), token=access, library_name="footplate")


def _model(model: Any) -> HubModel:
    updated = model.last_modified.timestamp() if model.last_modified else None
    return HubModel(id=model.id, downloads=model.downloads, likes=model.likes, gated=bool(model.gated), updated=updated)


def _file(sibling: Any) -> HubFile:
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    return HubFile(
        path=sibling.rfilename, size=sibling.size, sha256=sha256, git_oid=None if sha256 else sibling.blob_id
    )


async def _asked(work: Callable[[], T], about: str, seconds: float, *, with_token: bool = False) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await _in_daemon_thread(work)
    except TimeoutError as error:
        raise HubUnreachable(
            f"{endpoint()} has not answered within {seconds:.0f} seconds.",
            remedy="Look at the network, or try again later.",
        ) from error
    except Exception as error:
        log.info("asking the Hub for %s failed: %r", about, error)
        with_token = with_token or await token() is not None
        raise in_words(error, about, endpoint(), with_token=with_token) from error


async def _in_daemon_thread(work: Callable[[], T]) -> T:
    """What `work` returns, from a thread that a silent server cannot make the host's end wait for.

    The library has no time-out here, and the event loop's own threads are waited for when it closes.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(put: Callable[[], None]) -> None:
        if not done.done():
            put()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            failure = error
            put: Callable[[], None] = lambda: done.set_exception(failure)  # noqa: E731
        else:
            put = lambda: done.set_result(result)  # noqa: E731
        with suppress(RuntimeError):  # the loop may have been closed meanwhile
            loop.call_soon_threadsafe(settle, put)

    threading.Thread(target=run, name="hub", daemon=True).start()
    return await done
