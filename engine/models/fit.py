"""How much memory a model takes, and which context, slots and offload fit. Pure: numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import InsufficientMemory
from engine.types import Hardware

GRANULE = 256
"""Contexts are multiples of so many tokens, as runtimes pad them to."""


class Layer(Struct, frozen=True, kw_only=True):
    """One layer's part of the KV cache."""

    elements: int
    """Elements of keys and values for one token."""
    slides: bool = False
    """It looks back over the sliding window alone."""


class Shape(Struct, frozen=True, kw_only=True):
    """What of a model decides its memory."""

    weights: int
    """Bytes."""
    layers: tuple[Layer, ...]
    window: int = 0
    """Tokens of the sliding window; 0 when no layer slides."""
    vocabulary: int = 0
    embedding: int = 0
    feed_forward: int = 0
    """Widths of the hidden state and of the feed-forward layer."""
    trained_context: int | None = None


class Coefficients(Struct, frozen=True, kw_only=True):
    """What a runtime adds to the weights; each runtime's spec gives them with where they come from."""

    process: int
    """Bytes of a worker without a model."""
    per_word: int
    """Bytes for each word of the vocabulary."""
    floats_per_embedding: float
    floats_per_feed_forward: float
    """Activations of one token in the compute buffer, in floats per unit of each width."""
    mask_bytes: int
    """Bytes of the attention mask for each cell of the KV cache and token of a graph."""
    reserve: float
    """Share of the free memory that is left alone."""
    pool: float
    """Share of the free memory below which the KV cache may grow beyond one context."""
    pool_bytes: int
    """Bytes that it may so grow by, beside as many as the weights have."""
    least_context: int
    """Tokens below which a context is of no use for a conversation."""
    least_slots: int
    most_slots: int
    guess_rows: int = 0
    """Rows of logits beside one for each slot: tokens that are guessed ahead."""


class Load(Struct, frozen=True, kw_only=True):
    """How a model is loaded, as far as memory goes."""

    context: int
    """Tokens per sequence."""
    slots: int
    cells: int
    """Tokens of the KV cache in all, shared by the slots."""
    graph_tokens: int
    """Most tokens of one graph."""
    element_bytes: float = 2.0
    """Bytes of an element of the KV cache."""
    whole_window: bool = False
    """Sliding layers keep the whole context, so that prefixes can be reused."""


class Estimate(Struct, frozen=True, kw_only=True):
    """Bytes, by purpose."""

    weights: int
    kv_cache: int
    compute: int
    """Compute buffers with every row in use; a worker touches them as its context fills."""
    overhead: int
    """The program itself and the vocabulary."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv_cache + self.compute + self.overhead

    def arithmetic(self) -> str:
        """The sum, for people."""
        return (
            f"{size(self.weights)} weights + {size(self.kv_cache)} KV cache + "
            f"{size(self.compute)} compute buffers + {size(self.overhead)} program = {size(self.total)}"
        )


class Choice(Struct, frozen=True, kw_only=True):
    """What was decided, what it takes, and why."""

    load: Load
    threads: int
    gpu_layers: int
    """Layers on graphics cards; -1 is all of them."""
    estimate: Estimate
    reasons: tuple[str, ...]


class Wishes(Struct, frozen=True, kw_only=True):
    """What the user has fixed; `None` leaves it to the memory."""

    context: int | None = None
    slots: int | None = None
    threads: int | None = None


def estimate(shape: Shape, load: Load, coefficients: Coefficients) -> Estimate:
    """What loading a model of this shape so takes."""
    window_cells = min(load.cells, _up(shape.window * load.slots + load.graph_tokens)) if shape.window else load.cells
    kv_cache = sum(
        layer.elements * (window_cells if layer.slides and not load.whole_window else load.cells)
        for layer in shape.layers
    )
    activations = (
        coefficients.floats_per_embedding * shape.embedding + coefficients.floats_per_feed_forward * shape.feed_forward
    )
    compute = load.graph_tokens * (4 * activations + coefficients.mask_bytes * load.cells) + 4 * shape.vocabulary * (
        load.slots + coefficients.guess_rows
    )
    return Estimate(
        weights=shape.weights,
        kv_cache=int(kv_cache * load.element_bytes),
        compute=int(compute),
        overhead=coefficients.process + coefficients.per_word * shape.vocabulary,
    )


def choose(
    shape: Shape,
    hardware: Hardware,
    coefficients: Coefficients,
    *,
    wishes: Wishes,
    graph_tokens: int,
    on_gpu: bool,
) -> Choice:
    """Decides context, slots, threads and offload for the memory that is free.

    The context is the trained one, or the wish, where one sequence of it fits; else the largest that does. What memory
    is left beyond that makes the pool of cells larger, up to a whole context for each slot. `on_gpu` says that the
    runtime can use graphics cards. Raises `InsufficientMemory`, with the sum, where not even a small context fits.
    """
    gpu_free = sum(gpu.memory_free or 0 for gpu in hardware.gpus) if on_gpu else 0
    free = None if hardware.memory_free is None else hardware.memory_free + gpu_free
    budget = None if free is None else int(free * (1 - coefficients.reserve))
    slots = wishes.slots or coefficients.least_slots
    reasons: list[str] = []

    def load_of(context: int, cells: int, slots: int = slots) -> Load:
        return Load(context=context, slots=slots, cells=cells, graph_tokens=graph_tokens)

    def total(load: Load) -> int:
        return estimate(shape, load, coefficients).total

    goal = context_goal(shape, wishes.context, coefficients, reasons)
    context = goal
    if budget is not None:
        context = largest(lambda tokens: total(load_of(tokens, tokens)) <= budget, goal)
        if context < min(goal, coefficients.least_context):
            small = estimate(shape, load_of(least := min(goal, coefficients.least_context), least), coefficients)
            raise too_little(small, least, free or 0, budget)
    if context < goal:
        reasons.append(f"The context is {context:,} instead of {goal:,} tokens: more does not fit the free memory.")
    pool = context
    if free is not None:
        share = min(
            int(free * coefficients.pool), total(load_of(context, context)) + shape.weights + coefficients.pool_bytes
        )
        most = context * (wishes.slots or coefficients.most_slots)
        pool = max(context, largest(lambda cells: total(load_of(context, cells)) <= share, most))
    slots = wishes.slots or max(slots, min(coefficients.most_slots, pool // context))
    load = load_of(context, min(pool, context * slots), slots)
    if shape.window and (free is None or total(replace(load, whole_window=True)) <= int(free * coefficients.pool)):
        load = replace(load, whole_window=True)
        reasons.append("Sliding-window layers keep the whole context, so that a conversation's prefix can be reused.")
    reasons.append(_slots_reason(load))
    sizes = estimate(shape, load, coefficients)
    layers = card_layers(shape, sizes, int(gpu_free * (1 - coefficients.reserve)), reasons) if gpu_free else 0
    return Choice(
        load=load,
        threads=thread_count(hardware, wishes.threads, reasons),
        gpu_layers=layers,
        estimate=sizes,
        reasons=(*reasons, f"Estimated memory: {sizes.arithmetic()}."),
    )


def largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest multiple of `GRANULE` up to `most` (or `most` itself) that fits; 0 when none does."""
    if fits(most):
        return most
    low, high = 0, -(-most // GRANULE)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle * GRANULE):
            low = middle
        else:
            high = middle
    return low * GRANULE


def size(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def context_goal(shape: Shape, wish: int | None, coefficients: Coefficients, reasons: list[str]) -> int:
    """The context that is wanted, in tokens: the trained one, or the wish below that; says why in `reasons`."""
    trained = shape.trained_context
    if wish is None:
        goal = trained or coefficients.least_context
        reasons.append(
            f"The model was trained for {goal:,} tokens of context."
            if trained
            else f"The file does not say what context the model was trained for; {goal:,} tokens are taken."
        )
        return goal
    if trained is not None and wish > trained:
        reasons.append(
            f"The context asked for, {wish:,} tokens, is more than the {trained:,} the model was trained for."
        )
        return trained
    reasons.append(f"A context of {wish:,} tokens was asked for.")
    return wish


def _slots_reason(load: Load) -> str:
    if load.slots == 1:
        return "One sequence at a time."
    whole = load.cells >= load.context * load.slots
    room = "each with a whole context" if whole else f"sharing a KV cache of {load.cells:,} tokens"
    return f"{load.slots} sequences at once, {room}."


def thread_count(hardware: Hardware, wish: int | None, reasons: list[str]) -> int:
    """Threads to compute with; says why in `reasons`."""
    if wish is not None:
        reasons.append(f"{wish} threads were asked for.")
        return wish
    threads = hardware.cores or hardware.threads or 1
    reasons.append(f"{threads} {'thread' if threads == 1 else 'threads'}, one for each physical core.")
    return threads


def card_layers(shape: Shape, sizes: Estimate, budget: int, reasons: list[str]) -> int:
    """Layers whose weights and KV cache fit `budget` bytes of graphics memory, beside the compute buffers."""
    count = len(shape.layers) + 1  # the output layer counts as one
    each = (sizes.weights + sizes.kv_cache) / count
    fitting = max(0, int((budget - sizes.compute) / each))
    if fitting >= count:
        reasons.append("All layers are on the graphics card.")
        return -1
    reasons.append(f"{fitting} of {count} layers are on the graphics card: more do not fit its free memory.")
    return fitting


def too_little(least: Estimate, context: int, free: int, budget: int) -> InsufficientMemory:
    """The refusal of a model of which not even `least` fits, with the sum."""
    return InsufficientMemory(
        f"The model needs {size(least.total)} and {size(free)} are free, of which {size(budget)} may be used.",
        meaning=f"With a context of {context:,} tokens: {least.arithmetic()}.",
        remedy="Unload another model, close other programs, or choose a smaller quantization.",
    )


def _up(tokens: int) -> int:
    return -(-tokens // GRANULE) * GRANULE
