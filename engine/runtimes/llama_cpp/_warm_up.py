"""Trying a model that was just loaded."""

from __future__ import annotations

import time
from pathlib import Path

from llama_cpp import llama_cpp as lib

from engine.errors import ModelLoadError
from engine.runtimes.llama_cpp._batch import Batch
from engine.runtimes.llama_cpp._model import Model
from engine.runtimes.llama_cpp.isolation import no_number
from engine.runtimes.llama_cpp.options import Options
from engine.runtimes.llama_cpp.pace import Pace

_SHORT = 64
"""Tokens of the first trial: enough for the kernels of prefill (AMX takes 32 rows at a time)."""
_LONGEST_S = 0.25
"""Longest whole step that is tried beforehand; slower models learn their pace from requests."""


def warm_up(model: Model, batch: Batch, pace: Pace, options: Options, file: Path) -> bool:
    """Computes prompts and a token, so that the first request pays for nothing and the pace is known.

    A short prompt first; where that was quick, one as long as a step takes, which touches all compute buffers.
    Gives whether the model's memory can forget its latest tokens. Raises `ModelLoadError`, or `CorruptModel` where
    that is no number.
    """

    def trial(count: int) -> float:
        batch.clear()
        batch.add_tokens(0, [token % model.vocabulary.size for token in range(count)], 0, last=True)
        started = time.perf_counter()
        status = model.decode(batch.struct)
        seconds = time.perf_counter() - started
        if status:
            raise ModelLoadError(f"{file.name} is loaded but computes nothing: {model.complaint() or status}.")
        pace.measured(count, seconds)
        return seconds

    most = min(options.n_batch, options.n_ctx - 1)
    short = min(_SHORT, most)
    lib.llama_set_warmup(model.context, True)
    seconds = trial(short)
    cuts = model.truncate(0, short - 1)
    model.truncate(0, 0)  # wholly: a recurrent state cannot be cut
    if seconds / short * most < _LONGEST_S:
        trial(most)
        model.truncate(0, 0)
    lib.llama_set_warmup(model.context, False)
    trial(1)
    if not model.sound(1, throughout=True):
        raise no_number(file.name)
    model.truncate(0, 0)
    return cuts
