"""A model and its context in llama.cpp: loading, decoding, and the KV cache."""

from __future__ import annotations

import ctypes
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

from engine.errors import CorruptModel, FootplateError, InsufficientMemory, ModelLoadError
from engine.models.formats.gguf import read_header
from engine.runtimes.llama_cpp._adapters import Adapters
from engine.runtimes.llama_cpp._log import LibraryLog
from engine.runtimes.llama_cpp._vocabulary import LlamaVocabulary
from engine.runtimes.llama_cpp.options import Options
from engine.types import Sampling
from engine.worker.backend import AdapterSet

_KV_TYPES = {"f16": lib.GGML_TYPE_F16, "q8_0": lib.GGML_TYPE_Q8_0}
_NO_MEMORY = re.compile(r"allocate|out of memory|bad_alloc|cudaMalloc|not enough memory", re.IGNORECASE)
_UNKNOWN = re.compile(r"unknown model architecture: '(.*)'")
_DAMAGED = re.compile(r"corrupt|missing tensor|wrong shape|not within|invalid|failed to read|tensor .* not found")
_PROGRESS_STEP = 0.02
"""Share of the load between two reports."""


class Model:
    """A loaded model with one context over several sequences, which share a pool of cells."""

    def __init__(self, path: Path, options: Options, progress: Callable[[float], None]) -> None:
        """Loads the file; calls `progress` with the share that is done.

        Raises `CorruptModel`, `InsufficientMemory` or `ModelLoadError`, naming the file and the reason.
        """
        self._log = LibraryLog(logging.getLogger("llama.cpp"))
        self._model: Any = None
        self.context: Any = None
        lib.llama_backend_init()
        check_file(path)
        try:
            self._model = self._load(path, options, progress)
            self._check_kind(path, options)
            self.vocabulary = LlamaVocabulary(lib.llama_model_get_vocab(self._model))
            self._adapters = Adapters(self._model, path, options.lora, self._log)
            self.context = self._open_context(path, options)
        except FootplateError:
            self.close()
            raise
        self._memory: Any = lib.llama_get_memory(self.context)
        self._row = ctypes.c_float * self.vocabulary.size
        self._window: int = lib.llama_model_n_swa(self._model)
        self.shares = not (lib.llama_model_is_recurrent(self._model) or lib.llama_model_is_hybrid(self._model))
        self.partial = self.shares and not self._window
        """Whether a saved state can be cut; else it is good for prompts that go on from all of it (of the layers that
        slide, llama.cpp saves the last window alone)."""
        self.cells: int = lib.llama_n_ctx(self.context)

    def close(self) -> None:
        """Gives everything back; the object is of no use afterwards."""
        if self.context:
            lib.llama_free(self.context)
        if self._model:
            lib.llama_model_free(self._model)
        self.context = self._model = None

    def decode(self, batch: Any) -> int:
        """One forward pass: 0 when done, 1 when no room is left in the KV cache, below 0 when it failed."""
        status: int = lib.llama_decode(self.context, batch)
        return status

    def adapt(self, adapters: AdapterSet) -> None:
        """Has the next passes go through these adapters, and no others."""
        self._adapters.apply(self.context, adapters)

    def logits(self, row: int) -> NDArray[np.float32]:
        """The logits of a row of the last pass; they may be written to, and are valid until the next one."""
        pointer = lib.llama_get_logits_ith(self.context, row)
        memory: Any = self._row.from_address(ctypes.addressof(pointer.contents))
        return np.frombuffer(memory, dtype=np.float32)

    def pooled(self, sequence: int, length: int) -> NDArray[np.float32]:
        """A copy of the `length` numbers that the last pass made of a sequence."""
        pointer = lib.llama_get_embeddings_seq(self.context, sequence)
        return np.ctypeslib.as_array(pointer, (length,)).copy()

    def forget(self) -> None:
        """Forgets every sequence."""
        if self._memory:
            lib.llama_memory_clear(self._memory, False)

    def sound(self, rows: int, *, throughout: bool = False) -> bool:
        """Whether the last pass, which gave `rows` rows of logits, computed numbers.

        One logit of each row tells: what is no number before the output layer makes every logit so. `throughout` looks
        at all of them, which finds broken weights in the output layer itself.
        """
        if not rows:
            return True
        pointer = lib.llama_get_logits(self.context)
        memory: Any = (self._row * rows).from_address(ctypes.addressof(pointer.contents))
        found = np.frombuffer(memory, dtype=np.float32).reshape(rows, -1)
        if not throughout and np.isfinite(found[:, 0]).all():
            return True
        return bool(np.isfinite(found.max(axis=1)).all())  # a maximum over a NaN is one

    def wipe(self) -> None:
        """Empties the KV cache and overwrites it: what is no number there would spoil sequences that do not see it."""
        lib.llama_memory_clear(self._memory, True)

    def complaint(self) -> str:
        """Why the last pass failed, in the library's words."""
        return self._log.reason()

    def truncate(self, slot: int, length: int) -> bool:
        """Forgets a sequence from position `length` on; false when its memory cannot forget a part."""
        return bool(lib.llama_memory_seq_rm(self._memory, slot, length, -1))

    def copy(self, source: int, target: int, length: int) -> None:
        """Shares the first `length` positions of one sequence with another."""
        lib.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def continues(self, slot: int, length: int) -> bool:
        """Whether a sliding window still has all that position `length` looks back to."""
        if not self._window:
            return True
        first: int = lib.llama_memory_seq_pos_min(self._memory, slot)
        return 0 <= first <= max(0, length - self._window)

    def state_size(self, slot: int) -> int:
        """Bytes of what is cached for a sequence."""
        size: int = lib.llama_state_seq_get_size(self.context, slot)
        return size

    def take_state(self, slot: int, size: int) -> NDArray[np.uint8] | None:
        """A copy of what is cached for a sequence, `size` bytes; `None` when it cannot be had."""
        try:
            state = np.empty(size, np.uint8)
        except MemoryError:
            return None
        written = lib.llama_state_seq_get_data(self.context, _bytes_of(state), size, slot)
        return state if written == size else None

    def put_state(self, slot: int, state: NDArray[np.uint8]) -> bool:
        """Puts a copy into a sequence, which loses what it had; false when it does not fit, and it is empty then."""
        return bool(lib.llama_state_seq_set_data(self.context, _bytes_of(state), state.nbytes, slot) == state.nbytes)

    def scaled(self) -> bool:
        """Whether the context is so long that the model's other rotary factors are used (LongRoPE, YaRN)."""
        trained = self._text(f"{self.architecture}.rope.scaling.original_context_length")
        return trained.isdecimal() and self.cells > int(trained)

    @property
    def handle(self) -> Any:
        """The library's model."""
        return self._model

    @property
    def architecture(self) -> str:
        """As the file names it."""
        return self._text("general.architecture")

    def template(self, name: str | None = None) -> str | None:
        """The chat template that the file carries, or the one of that name."""
        found = lib.llama_model_chat_template(self._model, None if name is None else name.encode())
        return found.decode("utf-8", "replace") if found else None

    def spelling(self, which: Callable[[Any], int]) -> str:
        """The spelling of a special token, `which` being `lib.llama_vocab_bos` or its like."""
        return self.vocabulary.spelling(which(lib.llama_model_get_vocab(self._model)))

    def recommended(self) -> Sampling:
        """The sampling that the file recommends (`general.sampling.*`)."""
        top_k = self._number("top_k")
        return Sampling(
            temperature=self._number("temp"),
            top_k=None if top_k is None else int(top_k),
            top_p=self._number("top_p"),
            min_p=self._number("min_p"),
            repeat_penalty=self._number("penalty_repeat"),
        )

    def _number(self, key: str) -> float | None:
        try:
            return float(self._text(f"general.sampling.{key}"))
        except ValueError:
            return None

    def _text(self, key: str) -> str:
        """A metadata value as text; empty when the file does not have it."""
        buffer = ctypes.create_string_buffer(64)
        found = lib.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return "" if found < 0 else buffer.value.decode("utf-8", "replace")

    def _load(self, path: Path, options: Options, progress: Callable[[float], None]) -> Any:
        told = 0.0

        def tell(fraction: float, _user_data: object) -> bool:
            nonlocal told
            if fraction >= told + _PROGRESS_STEP:
                told = fraction
                progress(fraction)
            return True

        params = lib.llama_model_default_params()
        params.n_gpu_layers = options.n_gpu_layers
        params.load_mode = lib.LLAMA_LOAD_MODE_MMAP if options.mmap else lib.LLAMA_LOAD_MODE_NONE
        params.use_extra_bufts = options.extra_bufts
        callback = lib.llama_progress_callback(tell)
        params.progress_callback = callback
        self._log.start()
        model = lib.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise self._failure(path)
        return model

    def _open_context(self, path: Path, options: Options) -> Any:
        params = lib.llama_context_default_params()
        params.n_ctx = options.cells
        params.n_seq_max = options.n_seq
        params.n_batch = max(options.n_batch, options.n_seq)
        params.n_ubatch = min(options.n_ubatch, params.n_batch)
        # One row for each sequence and guess; the default has one for each token of a step (300 MB at 150k words).
        # What pools reads every token's state.
        rows = min(options.n_seq + options.draft_rows, params.n_batch)
        params.n_outputs_max = params.n_ubatch if options.encode else rows
        params.embeddings = options.encode
        params.n_threads = options.threads
        params.n_threads_batch = options.threads_batch or options.threads
        params.type_k = params.type_v = _KV_TYPES[options.kv_type]
        params.kv_unified = True
        params.swa_full = options.swa_full
        params.no_perf = True
        self._log.start()
        context = lib.llama_init_from_model(self._model, params)
        if not context:
            raise self._failure(path)
        return context

    def _check_kind(self, path: Path, options: Options) -> None:
        decodes = lib.llama_model_has_decoder(self._model) and not lib.llama_model_has_encoder(self._model)
        if not decodes or (lib.llama_model_is_diffusion(self._model) and not options.encode):
            raise ModelLoadError(
                f"{path.name} is not a model that continues text.",
                meaning="It reads text into vectors, translates, or fills in a draft; chat needs another kind.",
                remedy="Choose a model made for chat or completion.",
            )

    def _failure(self, path: Path) -> FootplateError:
        everything, reason = self._log.everything(), self._log.reason() or "llama.cpp gave no reason"
        if unknown := _UNKNOWN.search(everything):
            return ModelLoadError(
                f"{path.name} is of the architecture {unknown[1]!r}, which this llama.cpp does not know.",
                remedy="A newer Footplate may bring one that does.",
            )
        if _NO_MEMORY.search(everything):
            return InsufficientMemory(
                f"There is not enough memory to load {path.name}: {reason}.",
                remedy="Unload another model, or choose a smaller context or quantization.",
            )
        if _DAMAGED.search(everything):
            return CorruptModel(
                f"llama.cpp cannot load {path.name}: {reason}.",
                meaning="The file is damaged, or was not converted for this llama.cpp.",
                remedy=f"Download or convert it again ({path}).",
            )
        return ModelLoadError(f"llama.cpp cannot load {path.name}: {reason}.")


def _bytes_of(state: NDArray[np.uint8]) -> Any:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def check_file(path: Path) -> None:
    """Raises `CorruptModel` or `ModelLoadError` for a file that llama.cpp need not be troubled with."""
    try:
        read_header(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelLoadError(f"The model file {path} cannot be read: {reason}.") from error
