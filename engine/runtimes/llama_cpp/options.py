"""The load options of the llama.cpp runtime, shared by its two sides."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.worker.backend import AdapterSet

_Positive = Annotated[int, Meta(ge=1)]

KvType = Literal["f16", "q8_0"]
"""Element type of the KV cache."""
DRAFT_ROWS = 16
"""Most guessed tokens of one step; the buffer for logits has a row for each."""


class AdapterFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A LoRA adapter to be loaded with a model."""

    path: str
    scale: float = 1.0
    """How strongly it is applied where a request does not say; 0 is not at all."""

    @property
    def name(self) -> str:
        """By which requests choose it: its file's name, without the ending."""
        return PurePath(self.path).stem


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model is loaded. The defaults suit a small machine; `spec.plan` sets what matters."""

    n_ctx: _Positive = 4096
    """Tokens per sequence."""
    n_seq: Annotated[int, Meta(ge=1, le=64)] = 1
    """Sequences at once (slots)."""
    n_cells: Annotated[int, Meta(ge=0)] = 0
    """Tokens of the KV cache that all sequences share, at least `n_ctx`; 0 is `n_ctx` for each."""
    threads: _Positive = 1
    """Threads of decode."""
    threads_batch: Annotated[int, Meta(ge=0)] = 0
    """Threads of prefill; 0 is as many as `threads`."""
    n_batch: Annotated[int, Meta(ge=64)] = 512
    """Most tokens of one step."""
    n_ubatch: Annotated[int, Meta(ge=64)] = 512
    """Most tokens of one graph; the compute buffers grow with it."""
    n_gpu_layers: int = 0
    """Layers on the graphics card; -1 is all."""
    encode: bool = False
    """The model makes vectors or scores of whole texts and continues none; `n_seq` is the inputs of one batch then."""
    n_together: _Positive = 512
    """Most tokens that several inputs share in one batch, when it encodes."""
    extra_bufts: bool = True
    """Let the weights be repacked for the processor's fastest kernels (AMX, interleaved AVX and NEON layouts)."""
    kv_type: KvType = "f16"
    swa_full: bool = False
    """Keep the whole context of sliding-window layers, so that a prefix can be reused from any point."""
    mmap: bool = True
    """Map the file; false reads it, which saves a second copy of what is repacked."""
    speculation: Literal["auto", "off"] = "auto"
    """Guess tokens ahead from what stood there before and prove several in one step, where that is measured to pay."""
    lora: tuple[AdapterFile, ...] = ()
    """Adapters from which requests choose; no two of the same name."""
    prefix_folder: str = ""
    """Where states of prompts are saved, private to this user; empty keeps them in memory alone."""
    prefix_disk: Annotated[int, Meta(ge=0)] = 0
    """Most bytes of saved states on disk; the host holds all models together to the same. 0 saves none there."""
    prefix_memory: Annotated[int, Meta(ge=0)] = 0
    """Most bytes of saved states in memory, beside the KV cache."""
    prefix_least_s: Annotated[float, Meta(ge=0)] = 0.25
    """Seconds of prefill below which a prefix is not worth saving."""
    notices: tuple[str, ...] = ()
    """Sentences for the user that the plan brought up; they are passed on in `LoadedFacts`."""

    @property
    def adapters(self) -> AdapterSet:
        """The adapters that are applied where a request does not say."""
        return tuple((number, adapter.scale) for number, adapter in enumerate(self.lora) if adapter.scale)

    @property
    def draft_rows(self) -> int:
        """Most guessed tokens of one step."""
        return DRAFT_ROWS if self.speculation == "auto" else 0

    @property
    def cells(self) -> int:
        """Tokens the KV cache holds in all."""
        return max(self.n_cells, self.n_ctx) if self.n_cells else self.n_ctx * self.n_seq
