"""What `list_models` and `search_models` return, and the answers from it."""

from __future__ import annotations

from random import Random
from typing import Any

from engine.builtin.train.values import QUANTIZATIONS, RUNTIMES, local_model, number, repository, size

UNREACHABLE = "The Hugging Face Hub cannot be reached from here."


def listed(rng: Random) -> dict[str, Any]:
    """The models of some machine; most often one of them is loaded."""
    names = sorted({local_model(rng) for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6)))})
    rng.shuffle(names)
    loaded = set(rng.sample(names, min(len(names), rng.choice((0, 1, 1, 1, 1, 2)))))
    return {
        "models": [
            {
                "name": name,
                "runtime": rng.choice(RUNTIMES),
                "quantization": rng.choice(QUANTIZATIONS),
                "size": size(rng),
                "loaded": name in loaded,
            }
            for name in names
        ]
    }


def list_answer(found: dict[str, Any]) -> str:
    """The answer from the list, one form for every question (see `hardware.answer`)."""
    models = [
        f"{model['name']} ({model['quantization']}, {model['size']}{', loaded' if model['loaded'] else ''})"
        for model in found["models"]
    ]
    return f"Models on this machine: {'; '.join(models)}." if models else "There are no models on this machine."


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
