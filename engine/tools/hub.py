"""`search_models`: a search of the Hugging Face Hub."""

from __future__ import annotations

from typing import Any

from engine.errors import FootplateError
from engine.models import hub

SEARCH_S = 10.0
MOST = 5
UNREACHABLE = {"error": "The Hugging Face Hub cannot be reached from here."}


async def search_models(query: str) -> dict[str, Any]:
    """Up to five models that match, the most downloaded first, or that the Hub cannot be reached."""
    query = query.strip()
    try:
        found = await hub.search(query, limit=MOST, details=False, seconds=SEARCH_S)
    except FootplateError:  # which one makes no difference to a model; the log has it
        return UNREACHABLE
    return {"query": query, "models": [{"name": model.id, "downloads": model.downloads} for model in found]}
