"""What fits: the estimate, and the choice of context, slots, threads and offload."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InsufficientMemory
from engine.models.fit import Choice, Coefficients, Layer, Load, Shape, Wishes, choose, estimate, largest
from engine.types import Gpu, Hardware

GB = 1_000_000_000
COEFFICIENTS = Coefficients(
    process=50_000_000,
    per_word=300,
    floats_per_embedding=8,
    floats_per_feed_forward=2,
    mask_bytes=2,
    reserve=0.1,
    pool=0.5,
    pool_bytes=256_000_000,
    least_context=2048,
    least_slots=4,
    most_slots=8,
)
SHAPE = Shape(  # a 7B model: 28 layers of 4 key/value heads, 128 wide
    weights=4 * GB,
    layers=(Layer(elements=4 * 256),) * 28,
    vocabulary=150_000,
    embedding=3584,
    feed_forward=18944,
    trained_context=32768,
)


def load(context: int = 4096, cells: int | None = None, **more: object) -> Load:
    return Load(context=context, slots=1, cells=cells or context, graph_tokens=512, **more)  # type: ignore[arg-type]


def decide(free: float | None, shape: Shape = SHAPE, *, gpus: tuple[Gpu, ...] = (), **wishes: int) -> Choice:
    memory = None if free is None else int(free * GB)
    hardware = Hardware(cores=6, threads=12, memory=memory, memory_free=memory, gpus=gpus)
    return choose(shape, hardware, COEFFICIENTS, wishes=Wishes(**wishes), graph_tokens=512, on_gpu=bool(gpus))


def test_the_kv_cache_is_two_bytes_for_each_element_of_each_layer_and_token() -> None:
    assert estimate(SHAPE, load(4096), COEFFICIENTS).kv_cache == 28 * 4 * 256 * 2 * 4096
    assert estimate(SHAPE, load(4096, element_bytes=1.0625), COEFFICIENTS).kv_cache == 28 * 4 * 256 * 4096 * 17 // 16


def test_sliding_layers_keep_their_window_alone_unless_told_otherwise() -> None:
    layers = (Layer(elements=100, slides=True), Layer(elements=100))
    shape = Shape(weights=1, layers=layers, window=512, trained_context=32768)
    assert estimate(shape, load(32768), COEFFICIENTS).kv_cache == 200 * (1024 + 32768)
    assert estimate(shape, load(32768, whole_window=True), COEFFICIENTS).kv_cache == 200 * 2 * 32768


def test_the_trained_context_where_memory_allows() -> None:
    found = decide(64)
    assert found.load.context == 32768
    assert found.load.cells >= 32768
    assert any("trained for 32,768" in reason for reason in found.reasons)


def test_a_smaller_context_where_it_does_not() -> None:
    found = decide(5.7)
    assert 2048 <= found.load.context < 32768
    assert found.load.context % 256 == 0
    assert any("instead of 32,768" in reason for reason in found.reasons)


def test_too_little_memory_is_refused_with_the_sum() -> None:
    with pytest.raises(InsufficientMemory) as caught:
        decide(4.1)
    assert "4.1 GB are free" in str(caught.value)
    assert "4.0 GB weights" in str(caught.value)
    assert "2,048 tokens" in str(caught.value)


def test_a_wish_is_granted_up_to_the_trained_context() -> None:
    assert decide(64, context=512).load.context == 512
    found = decide(64, context=100_000)
    assert found.load.context == 32768
    assert any("100,000" in reason for reason in found.reasons)


def test_slots_share_what_memory_there_is() -> None:
    tight, wide = decide(7.0).load, decide(256, Shape(**{**_fields(), "weights": 64 * GB})).load
    assert tight.slots == 4 and tight.context <= tight.cells < 4 * tight.context
    assert wide.slots == 8 and wide.cells == 8 * wide.context
    assert decide(64, slots=1).load.cells == 32768


def test_threads_are_physical_cores_or_the_wish() -> None:
    assert decide(64).threads == 6
    assert decide(64, threads=3).threads == 3


def test_unknown_memory_gives_one_context_and_no_refusal() -> None:
    assert decide(None).load.cells == 32768


def test_a_card_takes_the_layers_that_fit() -> None:
    def card(free: float) -> tuple[Gpu, ...]:
        return (Gpu(name="card", index=0, memory=int(free * GB), memory_free=int(free * GB)),)

    assert decide(16, gpus=card(24)).gpu_layers == -1
    assert 0 < decide(16, gpus=card(3)).gpu_layers < 28
    assert decide(16).gpu_layers == 0


def test_a_sliding_model_keeps_its_whole_context_where_there_is_plenty() -> None:
    layers = tuple(Layer(elements=1024, slides=index % 2 == 0) for index in range(28))
    shape = Shape(**{**_fields(), "layers": layers, "window": 1024})
    assert decide(64, shape).load.whole_window
    assert not decide(7, shape).load.whole_window


@given(st.floats(5, 500), st.one_of(st.none(), st.integers(256, 200_000)), st.one_of(st.none(), st.integers(1, 8)))
def test_what_is_chosen_fits(free: float, context: int | None, slots: int | None) -> None:
    wishes = {name: wish for name, wish in (("context", context), ("slots", slots)) if wish is not None}
    found = decide(free, **wishes)
    assert found.estimate == estimate(SHAPE, found.load, COEFFICIENTS)
    assert found.estimate.total <= free * GB
    assert found.load.context <= found.load.cells <= found.load.context * found.load.slots


@given(st.integers(1, 100_000), st.integers(0, 100_000))
def test_largest(most: int, limit: int) -> None:
    found = largest(lambda tokens: tokens <= limit, most)
    assert found == (most if most <= limit else limit // 256 * 256)


def _fields() -> dict[str, object]:
    return {name: getattr(SHAPE, name) for name in SHAPE.__struct_fields__}
