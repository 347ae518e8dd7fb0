"""Models, the machine, and how the one is loaded on the other."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from msgspec import field

from engine.errors import ErrorInfo
from engine.types.adapters import Adapter
from engine.types.noun import Noun

ModelKind = Literal["chat", "embedding", "rerank"]
"""What a model is for: continuing text, turning texts into vectors, or scoring documents against a query."""


class ModelEntry(Noun, frozen=True, kw_only=True):
    """A model the catalog knows. Everything but id, path, format and size comes from its metadata."""

    id: str
    """The name by which people and API requests choose it."""
    path: str
    format: str
    """`gguf`, `scripted`, …"""
    size: int
    name: str = ""
    architecture: str | None = None
    parameters: int | None = None
    quantization: str | None = None
    kind: ModelKind = "chat"
    context_length: int | None = None
    """The context the model was trained for, in tokens."""
    runtimes: tuple[str, ...] = ()
    """Runtimes here that can open it."""
    builtin: bool = False
    error: ErrorInfo | None = None
    """Why it cannot be used, when it cannot."""


class Gpu(Noun, frozen=True, kw_only=True):
    """One graphics card; memory in bytes."""

    name: str
    index: int
    memory: int | None = None
    memory_free: int | None = None


class Hardware(Noun, frozen=True, kw_only=True):
    """What this machine has: facts read once, and the memory that was free when they were read."""

    cpu: str | None = None
    cores: int | None = None
    """Physical cores this process may use."""
    threads: int | None = None
    """Logical processors this process may use."""
    features: tuple[str, ...] = ()
    """Instruction sets that matter for inference, such as `avx2`, `avx512f`, `amx_int8`."""
    memory: int | None = None
    memory_free: int | None = None
    gpus: tuple[Gpu, ...] = ()


class LoadPlan(Noun, frozen=True, kw_only=True):
    """With which options a model is to be loaded, and why."""

    runtime: str
    context: int
    """Tokens per sequence."""
    slots: int
    """Sequences at once."""
    memory: int
    """Estimated bytes of the loaded model: weights, KV cache, compute buffers, overhead."""
    options: dict[str, Any] = field(default_factory=dict)
    """The runtime's own load options (its `spec.Options` as plain data)."""
    reasons: tuple[str, ...] = ()
    """One sentence for each thing that was decided."""


class LoadedFacts(Noun, frozen=True, kw_only=True):
    """What a worker reports once its model is loaded."""

    context: int
    slots: int
    device: str
    memory: int | None = None
    """Bytes really taken by the worker."""
    load_s: float = 0.0
    chat: bool = True
    """It continues text. What makes vectors or scores does nothing else."""
    embeddings: bool = False
    """It turns texts into vectors."""
    rerank: bool = False
    """It scores documents against a query."""
    dimensions: int | None = None
    """Length of its vectors, where it makes any."""
    tools: bool = False
    """The template can be given tools."""
    prefix_reuse: Literal["any", "checkpoints"] = "any"
    """Where a prompt that was computed before can be taken up: anywhere, or where a state was kept (models whose memory
    slides or is recurrent: shortly before the last prompt's end)."""
    sampling: tuple[str, ...] = ()
    """The fields of `Sampling` that the runtime obeys."""
    grammar: bool = False
    """Answers can be held to a grammar."""
    logprobs: bool = False
    """Log probabilities can be told."""
    infill: bool = False
    """The model was made to fill gaps, too (`GenerateRequest.suffix`)."""
    adapters: tuple[Adapter, ...] = ()
    """LoRA adapters that requests can choose from."""
    speculation: bool = False
    """Tokens are guessed ahead from the text so far, where that pays."""
    notices: tuple[str, ...] = ()
    """Sentences the user should see, such as a disabled fast path and its cure."""


class WorkerState(StrEnum):
    """The life of a worker."""

    LOADING = "loading"
    READY = "ready"
    BUSY = "busy"
    UNLOADING = "unloading"
    GONE = "gone"
    CRASHED = "crashed"


class WorkerStats(Noun, frozen=True, kw_only=True):
    """Live numbers of one worker."""

    running: int = 0
    waiting: int = 0
    context_used: int = 0
    """Tokens in the KV cache."""
    decode_tok_s: float | None = None
    memory: int | None = None


class WorkerInfo(Noun, frozen=True, kw_only=True, omit_defaults=False):
    """One worker as the screen shows it."""

    model: str
    runtime: str
    state: WorkerState
    pid: int | None = None
    progress: float | None = None
    """Share of the load that is done, 0 to 1."""
    plan: LoadPlan | None = None
    facts: LoadedFacts | None = None
    stats: WorkerStats | None = None
    error: ErrorInfo | None = None
    """Why it crashed or is held back."""
