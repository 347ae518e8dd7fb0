"""What `list_models` and `search_models` return, and the answers from it."""

from __future__ import annotations

from random import Random
from typing import Any

from engine.builtin.train.values import QUANTIZATIONS, local_model, number, repository, size

UNREACHABLE = "The Hugging Face Hub cannot be reached from here."


DETAILED = 5
"""So many models `list_models` describes; of the others it gives the names."""


def listed(rng: Random) -> dict[str, Any]:
    """The models of some machine, those that are loaded first; most often one of them is."""
    names = sorted({local_model(rng) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 9, 12)))})
    rng.shuffle(names)
    loaded = names[: rng.choice((0, 1, 1, 1, 1, 2))]
    return {
        "count": len(names),
        "loaded": loaded,
        "models": [
            {"name": name, "quantization": rng.choice(QUANTIZATIONS), "size": size(rng)} for name in names[:DETAILED]
        ],
        "others": names[DETAILED:],
    }


def list_answer(found: dict[str, Any]) -> str:
    """The answer from the list, one form for every question (see `hardware.answer`)."""
    if not found["count"]:
        return "There are no models on this machine."
    models = [f"{model['name']} ({model['quantization']}, {model['size']})" for model in found["models"]]
    loaded = ", ".join(found["loaded"]) or "none"
    return f"Models on this machine: {found['count']}. Loaded: {loaded}. The first: {'; '.join(models)}."


def found_on_hub(query: str, rng: Random) -> dict[str, Any]:
    """What the Hub may answer to `query`."""
    if rng.random() < 0.15:
        return {"error": UNREACHABLE}
    names = {repository(rng, query) for _ in range(rng.choice((0, 1, 2, 3, 4, 5)))}
    return {"query": query, "models": [{"name": name, "downloads": number(rng)} for name in _mixed(names)]}


def _mixed(names: set[str]) -> list[str]:
    """In an order that means nothing, yet is the same in every process."""
    return sorted(names, key=lambda name: name[::-1])


def search_answer(found: dict[str, Any]) -> str:
    """The answer from a search."""
    if "error" in found:
        return found["error"]
    if not found["models"]:
        return f"Nothing was found on the Hub for {found['query']}."
    return f"Found on the Hub: {', '.join(model['name'] for model in found['models'])}."
