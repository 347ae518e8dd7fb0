"""Log probabilities out of a row of logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.worker.backend import Logprob


def logprobs(logits: NDArray[np.float32], top: int | None) -> Callable[[int], tuple[Logprob, ...]]:
    """What to tell of the token that will be drawn, taken from `logits` before the draw can change them.

    `top` likeliest tokens are told with it; `None` tells nothing, and costs nothing.
    """
    if top is None:
        return lambda _token: ()
    peak = float(logits.max())
    found = logits.astype(np.float64)
    found -= peak + np.log(np.exp(found - peak).sum())
    return lambda token: (Logprob(token=token, logprob=float(found[token]), top=_likeliest(found, top)),)


def _likeliest(found: NDArray[np.float64], count: int) -> tuple[tuple[int, float], ...]:
    count = min(count, len(found))
    if not count:
        return ()
    among = np.argpartition(found, -count)[-count:]
    among = among[np.lexsort((among, -found[among]))]
    return tuple((int(token), float(found[token])) for token in among)
