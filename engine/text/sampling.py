"""How sampling parameters of several origins become one set."""

from __future__ import annotations

import msgspec

from engine.types import Sampling

GENERAL = Sampling(
    temperature=0.8,
    top_p=0.95,
    top_k=40,
    min_p=0.05,
    repeat_penalty=1.0,
    presence_penalty=0.0,
    frequency_penalty=0.0,
    repeat_last_n=64,
    typical_p=1.0,
    xtc_probability=0.0,
    xtc_threshold=0.1,
    dry_multiplier=0.0,
    dry_base=1.75,
    dry_allowed_length=2,
    dry_penalty_last_n=-1,
    dry_sequence_breakers=("\n", ":", '"', "*"),
    mirostat=0,
    mirostat_tau=5.0,
    mirostat_eta=0.1,
)
"""Used where neither request nor model says anything: llama.cpp's own defaults. No seed: every answer differs."""


def merged(*layers: Sampling) -> Sampling:
    """One set out of several: for each parameter the first layer that has an opinion wins."""
    result = Sampling()
    for layer in reversed(layers):
        opinions = {name: value for name, value in msgspec.structs.asdict(layer).items() if value is not None}
        result = msgspec.structs.replace(result, **opinions)
    return result
