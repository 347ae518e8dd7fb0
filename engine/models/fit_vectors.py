"""How a model is loaded that turns whole texts into vectors or scores. Pure: numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Callable

from engine.models.fit import (
    Choice,
    Coefficients,
    Estimate,
    Load,
    Shape,
    Wishes,
    card_layers,
    context_goal,
    estimate,
    largest,
    size,
    thread_count,
    too_little,
)
from engine.types import Hardware

TOGETHER = 512
"""Most tokens that several inputs share in a pass: more of them gain nothing on a processor."""
LEAST_TOGETHER = 64
OUTPUT_BYTES = 160_000_000
"""What the outputs of a shared pass may take: a large vocabulary makes them large, though nobody reads them."""
WORKING_BYTES = 2_000_000_000
WORKING_SHARE = 0.25
"""The context is such that the buffers of one input keep below this, or this share of all memory where that is more;
a user's wish may go beyond. It rests on what the machine has, not on what is free, so that no chat is evicted for it.
"""
LEAST_CONTEXT = 512
INPUTS = 64
"""Most inputs of one batch."""


def choose_vectors(
    shape: Shape, hardware: Hardware, coefficients: Coefficients, *, wishes: Wishes, at_once: bool, on_gpu: bool
) -> Choice:
    """Decides context, threads and offload for a model that pools.

    With `at_once` a text is computed in one pass, whose buffers grow with it; else in pieces, over a KV cache of one
    context. `Load.slots` are the inputs of a batch, `Load.graph_tokens` the most tokens of a pass. Raises
    `InsufficientMemory`, with the sum, where not even a small context fits.
    """
    gpu_free = sum(gpu.memory_free or 0 for gpu in hardware.gpus) if on_gpu else 0
    reasons: list[str] = []
    together = tokens_together(shape)

    def load_of(context: int) -> Load:
        graph = max(context, together) if at_once else min(context, together)
        return Load(context=context, slots=min(INPUTS, graph), cells=context, graph_tokens=graph)

    def sizes_of(context: int) -> Estimate:
        return _estimate(shape, load_of(context), coefficients, at_once=at_once)

    goal = context_goal(shape, wishes.context, coefficients, reasons)
    free = None if hardware.memory_free is None else hardware.memory_free + gpu_free
    bound = None if wishes.context else max(WORKING_BYTES, int((hardware.memory or 0) * WORKING_SHARE))
    context = _context(goal, sizes_of, free, coefficients, bound)
    if context < goal:
        reasons.append(
            f"The context is {context:,} instead of {goal:,} tokens: one text of that length would take "
            f"{size(_buffers(sizes_of(goal)))} beside the weights."
        )
    load, sizes = load_of(context), sizes_of(context)
    reasons.append(f"Up to {load.slots} texts of {together} tokens together in one pass, a longer one by itself.")
    layers = card_layers(shape, sizes, int(gpu_free * (1 - coefficients.reserve)), reasons) if gpu_free else 0
    return Choice(
        load=load,
        threads=thread_count(hardware, wishes.threads, reasons),
        gpu_layers=layers,
        estimate=sizes,
        reasons=(*reasons, f"Estimated memory: {sizes.arithmetic()}."),
    )


def tokens_together(shape: Shape) -> int:
    """Most tokens that several inputs share in a pass."""
    fitting = OUTPUT_BYTES // (4 * shape.vocabulary) if shape.vocabulary else TOGETHER
    return max(LEAST_TOGETHER, min(TOGETHER, fitting // LEAST_TOGETHER * LEAST_TOGETHER))


def _estimate(shape: Shape, load: Load, coefficients: Coefficients, *, at_once: bool) -> Estimate:
    """As `fit.estimate`, but every token has outputs: a row for each word, in the graph too where it goes on."""
    plain = estimate(shape, load, coefficients)
    rows = 4 * load.graph_tokens * (shape.vocabulary + shape.embedding)
    return Estimate(
        weights=plain.weights,
        kv_cache=plain.kv_cache,
        compute=plain.compute + rows * (1 if at_once else 2),
        overhead=plain.overhead,
    )


def _context(
    goal: int, sizes_of: Callable[[int], Estimate], free: int | None, coefficients: Coefficients, bound: int | None
) -> int:
    """The largest context up to `goal` that fits what is free, its buffers within `bound` unless it is a small one."""
    budget = None if free is None else int(free * (1 - coefficients.reserve))

    def fits(context: int) -> bool:
        sizes = sizes_of(context)
        return (budget is None or sizes.total <= budget) and (bound is None or _buffers(sizes) <= bound)

    context, least = largest(fits, goal), min(goal, LEAST_CONTEXT)
    if context >= least:
        return context
    if budget is not None and sizes_of(least).total > budget:
        raise too_little(sizes_of(least), least, free or 0, budget)
    return least


def _buffers(sizes: Estimate) -> int:
    return sizes.kv_cache + sizes.compute
