"""The host's side of llama.cpp: which files it opens, and how a model is loaded on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from engine.errors import ModelLoadError
from engine.models.fit import Choice, Coefficients, Layer, Shape, Wishes, choose
from engine.models.fit_vectors import choose_vectors, tokens_together
from engine.models.formats.gguf import GgufHeader, read_header, split_files
from engine.models.kinds import ENCODERS, kind_of, reads_at_once
from engine.runtimes.llama_cpp.library import gpu_backends
from engine.runtimes.llama_cpp.options import DRAFT_ROWS, Options
from engine.types import Hardware, LoadPlan, ModelEntry

COEFFICIENTS = Coefficients(
    # Resident size of a worker before and after loading a vocabulary of 151,936 words (llama-cpp-python 0.3.36, Linux).
    process=52_000_000,
    per_word=280,
    # llama.cpp's own "compute buffer size" for Qwen2 shapes 64 and 896 wide and a Llama 1024 wide, at 512 tokens.
    floats_per_embedding=6.0,
    floats_per_feed_forward=2.5,
    # The mask is F16 with flash attention, one element for each cell and token.
    mask_bytes=2,
    # The estimate is good to a tenth, and the rest of the system must breathe.
    reserve=0.1,
    # The other half stays free for a second model and for the page cache.
    pool=0.5,
    # Zeroing the KV cache is a part of every load: it grows in keeping with the model, and small models get their fill.
    pool_bytes=256_000_000,
    # A system prompt and some turns; coding assistants begin beyond it.
    least_context=2048,
    # A chat, its title, and an assistant's two requests at once.
    least_slots=4,
    most_slots=8,
    guess_rows=DRAFT_ROWS,
)
GRAPH_TOKENS = 512
"""Tokens of one graph (`n_ubatch`), llama.cpp's default: prefill gains nothing from more on a processor."""
REPACKED = frozenset({"Q2_K", "Q4_0", "Q4_1", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "IQ4_NL", "IQ4_XS", "MXFP4"})
"""Tensor types that llama.cpp copies into layouts of its own for AMX, AVX or NEON kernels."""
SLIDING_PERIODS = {
    "afmoe": 4, "cohere2": 4, "exaone4": 4, "gemma2": 2, "gemma3": 6, "gemma3n": 5, "gpt-oss": 2, "llama4": 4,
    "mellum": 4, "olmo2": 4, "plamo3": 8,
}  # fmt: skip
"""Architectures in which every n-th layer sees the whole context and the others slide, where the file does not say it
(llama.cpp's `load_swa_pattern`)."""


class LlamaSpec:
    """llama.cpp (`engine.runtimes.spec.RuntimeSpec`)."""

    name = "llama_cpp"
    label = "llama.cpp"
    formats = frozenset({"gguf"})
    worker_module = "engine.runtimes.llama_cpp.worker"
    distribution: str | None = "llama-cpp-python"
    saves_prefixes = True

    def plan(
        self,
        model: ModelEntry,
        hardware: Hardware,
        *,
        context: int | None = None,
        slots: int | None = None,
        threads: int | None = None,
    ) -> LoadPlan:
        """See `RuntimeSpec.plan`; `slots` and `threads` are wishes like `context`."""
        path = Path(model.path)
        try:
            headers = [read_header(file) for file in split_files(path)]
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ModelLoadError(f"The model file {path} cannot be read: {reason}.") from error
        on_gpu = bool(gpu_backends())
        shape, wishes = shape_of(headers), Wishes(context=context, slots=slots, threads=threads)
        if encodes(headers[0]):
            at_once = reads_at_once(headers[0])
            choice = choose_vectors(shape, hardware, COEFFICIENTS, wishes=wishes, at_once=at_once, on_gpu=on_gpu)
        else:
            choice = choose(shape, hardware, COEFFICIENTS, wishes=wishes, graph_tokens=GRAPH_TOKENS, on_gpu=on_gpu)
        options, reasons = options_for(choice, headers, unified_memory=on_gpu and sys.platform == "darwin")
        return LoadPlan(
            runtime=self.name,
            context=choice.load.context,
            slots=choice.load.slots,
            memory=choice.estimate.total,
            options=msgspec.to_builtins(options),
            reasons=(*choice.reasons, *reasons),
        )


def shape_of(headers: list[GgufHeader]) -> Shape:
    """What decides a model's memory, from the headers of its files; the first one describes the model."""
    header = headers[0]
    width = (header.key_length or 0) + (header.value_length or 0)
    cached = width * (header.architecture not in ENCODERS)
    period = SLIDING_PERIODS.get(header.architecture, 0) if header.sliding_window else 0
    slides = header.sliding_layers or tuple(
        bool(period) and (index + 1) % period != 0 for index in range(len(header.kv_heads))
    )
    return Shape(
        weights=sum(part.tensor_bytes for part in headers),
        layers=tuple(
            Layer(elements=heads * cached, slides=index < len(slides) and slides[index])
            for index, heads in enumerate(header.kv_heads)
        ),
        window=header.sliding_window if header.sliding_window and any(slides) else 0,
        vocabulary=header.vocab_size or 0,
        embedding=header.embedding_length or 0,
        feed_forward=header.feed_forward_length or 4 * (header.embedding_length or 0),
        trained_context=header.context_length,
    )


def encodes(header: GgufHeader) -> bool:
    """Whether the model makes vectors or scores."""
    return kind_of(header) != "chat"


def options_for(choice: Choice, headers: list[GgufHeader], *, unified_memory: bool) -> tuple[Options, tuple[str, ...]]:
    """The worker's options for what was chosen, and the reasons of what is decided here."""
    load, reasons = choice.load, []
    repacked = sum(count for part in headers for kind, count in part.type_bytes.items() if kind in REPACKED)
    mmap = repacked * 2 < sum(part.tensor_bytes for part in headers)
    if not mmap:
        reasons.append("The file is read, not mapped: the fast kernels keep the weights in a layout of their own.")
    if unified_memory:
        reasons.append("All layers are on the graphics processor, which shares the memory.")
    options = Options(
        n_ctx=load.context,
        n_seq=load.slots,
        n_cells=load.cells,
        threads=choice.threads,
        n_batch=load.graph_tokens,
        n_ubatch=load.graph_tokens,
        n_gpu_layers=-1 if unified_memory else choice.gpu_layers,
        swa_full=load.whole_window,
        encode=encodes(headers[0]),
        n_together=tokens_together(shape_of(headers)),
        mmap=mmap,
    )
    return options, tuple(reasons)
