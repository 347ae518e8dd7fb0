"""What `get_hardware` returns, and the answer to a question from it."""

from __future__ import annotations

from random import Random
from typing import Any

from engine.builtin.train.values import RUNTIMES, fill, pick


def result(rng: Random) -> dict[str, Any]:
    """Some machine."""
    memory = round(rng.choice((4, 8, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024)) * rng.uniform(0.92, 1), 1)
    return {
        "cpu": fill(pick("cpus", rng), {}, rng),
        "cores": rng.choice(
            (1, 2, 2, 3, 4, 4, 6, 8, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 96, 128, 192, rng.randrange(1, 256))
        ),
        "memory_gib": memory,
        "memory_free_gib": round(memory * rng.uniform(0.05, 0.98), 1),
        "gpus": [_gpu(rng) for _ in range(rng.choice((0, 0, 0, 1, 1, 1, 1, 2)))],
        "runtimes": rng.sample(RUNTIMES, rng.choice((1, 1, 2, 3))),
    }


def _gpu(rng: Random) -> dict[str, Any]:
    memory = round(rng.choice((4, 6, 8, 11, 12, 16, 24, 32, 40, 48, 80, 141, 192)) * rng.uniform(0.95, 1), 1)
    return {
        "name": fill(pick("gpus", rng), {}, rng),
        "memory_gib": memory,
        "memory_free_gib": round(memory * rng.uniform(0.05, 1), 1),
    }


def answer(found: dict[str, Any]) -> str:
    """The answer from what the tool found: all of it, in the order in which it stands there.

    One form for every question: a model this small copies right, but cannot well be trusted to pick.
    """
    gpus = "; ".join(
        f"{gpu['name']}, {gpu['memory_gib']} GiB, {gpu['memory_free_gib']} GiB free" for gpu in found["gpus"]
    )
    return (
        f"Processor: {found['cpu']}, {found['cores']} cores. "
        f"Memory: {found['memory_gib']} GiB, {found['memory_free_gib']} GiB free. "
        f"GPU: {gpus or 'none'}. Runtimes: {', '.join(found['runtimes'])}."
    )
