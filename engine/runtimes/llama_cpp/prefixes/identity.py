"""The key under which a model's states are saved: states of another model, library or layout never meet."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.runtimes.llama_cpp.options import Options

_HEAD = 1024 * 1024
"""Bytes of the beginning that are read: most of the metadata."""
_SAMPLES = 16
_SAMPLE = 64 * 1024


def model_key(files: Sequence[Path], options: Options, *, library: str, scaled: bool) -> str:
    """A name for the states of the model in `files` under `options`, the same wherever the files lie.

    Size, time of change and samples of the content stand for each file; a copy with a new time begins anew. `library`
    is its name and version; `scaled` says that the context is so long that another rotary scaling is in force.
    Raises `OSError`.
    """
    facts: list[object] = [library, options.kv_type, options.swa_full, options.n_gpu_layers, scaled]
    for file in files:
        stat = file.stat()
        facts.append((stat.st_size, stat.st_mtime_ns, _sampled(file, stat.st_size)))
    for number, scale in options.adapters:
        file = Path(options.lora[number].path)
        stat = file.stat()
        facts.append((scale, stat.st_size, stat.st_mtime_ns, _sampled(file, stat.st_size)))
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:32]


def _sampled(file: Path, size: int) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as source:
        digest.update(source.read(_HEAD))
        for number in range(1, _SAMPLES + 1):
            source.seek(max(0, size * number // _SAMPLES - _SAMPLE))
            digest.update(source.read(_SAMPLE))
    return digest.hexdigest()
