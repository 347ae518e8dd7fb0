"""`search_models`: a search of the Hugging Face Hub."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

SEARCH_S = 10.0
MOST = 5
UNREACHABLE = {"error": "The Hugging Face Hub cannot be reached from here."}

Found = list[dict[str, Any]]


async def search_models(query: str) -> dict[str, Any]:
    """Up to five models that match, the most downloaded first, or that the Hub cannot be reached."""
    query = query.strip()
    try:
        async with asyncio.timeout(SEARCH_S):
            models = await _in_daemon_thread(lambda: _search(query))
    except Exception as error:  # noqa: BLE001 - whatever the library or the network raises, it means one thing to the model
        log.info("the Hub search for %.100r failed: %r", query, error)
        return UNREACHABLE
    return {"query": query, "models": models}


def _search(query: str) -> Found:
    from huggingface_hub import HfApi, constants  # noqa: PLC0415 - a third of a second, needed for this alone

    constants.HF_HUB_DISABLE_TELEMETRY = True
    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    found = hub.list_models(search=query, sort="downloads", limit=MOST)
    return [{"name": model.id, "downloads": model.downloads} for model in found]


async def _in_daemon_thread(work: Callable[[], Found]) -> Found:
    """What `work` returns, from a thread that a silent server cannot make the host's end wait for.

    The library has no time-out here, and the event loop's own threads are waited for when it closes.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Found] = loop.create_future()

    def settle(result: Found | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result or [])

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            failure = error
        with suppress(RuntimeError):  # the loop may have been closed meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="hub search", daemon=True).start()
    return await done
