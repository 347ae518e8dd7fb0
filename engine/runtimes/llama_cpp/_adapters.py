"""LoRA adapters: loaded beside a model, and applied to its context."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_cpp import llama_cpp as lib

from engine.errors import ModelLoadError
from engine.models.formats.gguf import read_header
from engine.runtimes.llama_cpp._log import LibraryLog
from engine.runtimes.llama_cpp.options import AdapterFile
from engine.worker.backend import AdapterSet


class Adapters:
    """The adapters of one model. The library frees them with it."""

    def __init__(self, model: Any, file: Path, wanted: Sequence[AdapterFile], log: LibraryLog) -> None:
        """Loads them for the library's `model`, which came from `file`; before its context is made, which counts them.

        Raises `ModelLoadError` or `CorruptModel`, naming the adapter's file and the reason.
        """
        self._applied: AdapterSet = ()
        self._handles = []
        for adapter in wanted:
            log.start()
            self._handles.append(_load(model, file, Path(adapter.path), log))

    def apply(self, context: Any, chosen: AdapterSet) -> None:
        """Has the next passes of `context` go through the `chosen` ones, and no others."""
        if chosen == self._applied:
            return
        handles = (lib.llama_adapter_lora_p_ctypes * len(chosen))(*(self._handles[number] for number, _ in chosen))
        scales = (ctypes.c_float * len(chosen))(*(scale for _, scale in chosen))
        lib.llama_set_adapters_lora(context, handles, len(chosen), scales)
        self._applied = chosen


def _load(model: Any, file: Path, path: Path, log: LibraryLog) -> Any:
    try:
        made_for = read_header(path).architecture
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelLoadError(
            f"The adapter {path} of {file.name} cannot be read: {reason}.",
            remedy="Correct its path under [runtime.lora] in the settings, or take it out there.",
        ) from error
    is_for = read_header(file).architecture
    if made_for != is_for:
        raise _refused(path, file, f"it was made for models of the architecture {made_for!r}, and this is {is_for!r}")
    handle = lib.llama_adapter_lora_init(model, str(path).encode())
    if not handle:
        raise _refused(path, file, log.reason() or "llama.cpp gave no reason")
    if lib.llama_adapter_get_alora_n_invocation_tokens(handle):
        raise _refused(path, file, "it is to be switched on by words in the prompt, which is not supported")
    return handle


def _refused(path: Path, file: Path, reason: str) -> ModelLoadError:
    return ModelLoadError(
        f"The adapter {path.name} cannot be used with {file.name}: {reason}.",
        meaning="An adapter fits the model it was trained on, and its like.",
        remedy=f"Take {path} out of [runtime.lora] in the settings, or list it under its own model.",
    )
