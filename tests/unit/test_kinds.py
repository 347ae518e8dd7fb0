"""What a model is for, and how one that pools is planned."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
from fixtures.bert_model import random_bert, write_bert
from fixtures.shape_model import write_model

from engine.errors import InsufficientMemory, Unsupported
from engine.models.fit import Choice, Layer, Shape, Wishes
from engine.models.fit_vectors import choose_vectors, tokens_together
from engine.models.formats.gguf import read_header
from engine.models.kinds import check_kind, kind_of, reads_at_once
from engine.models.scan import describe
from engine.runtimes.llama_cpp.spec import COEFFICIENTS, LlamaSpec
from engine.types import Hardware, LoadPlan, ModelEntry

GB = 1_000_000_000
ENCODER = Shape(  # bge-m3: 24 layers, 250,002 words, texts of 8,192 tokens
    weights=1 * GB,
    layers=(Layer(elements=0),) * 24,
    vocabulary=250_002,
    embedding=1024,
    feed_forward=4096,
    trained_context=8192,
)
DECODER = Shape(  # Qwen3-Embedding-0.6B
    weights=1 * GB,
    layers=(Layer(elements=2048),) * 28,
    vocabulary=151_669,
    embedding=1024,
    feed_forward=3072,
    trained_context=32768,
)


def pooled(path: Path, pooling: gguf.PoolingType) -> Path:
    return write_model(path, metadata=lambda writer: writer.add_pooling_type(pooling))


def test_kinds_are_told_from_the_header(tmp_path: Path) -> None:
    chat = write_model(tmp_path / "chat.gguf")
    unpooled = pooled(tmp_path / "none.gguf", gguf.PoolingType.NONE)
    vectors = pooled(tmp_path / "vectors.gguf", gguf.PoolingType.LAST)
    bert = write_bert(tmp_path / "bert.gguf", random_bert(), None)
    ranker = write_bert(tmp_path / "rank.gguf", random_bert(classifier=True), gguf.PoolingType.RANK)
    paths = (chat, unpooled, vectors, bert, ranker)
    assert [kind_of(read_header(path)) for path in paths] == ["chat", "chat", "embedding", "embedding", "rerank"]
    assert [reads_at_once(read_header(path)) for path in paths[2:]] == [False, True, True]
    entry = describe(ranker, "rank", [LlamaSpec()])
    assert entry is not None and entry.kind == "rerank"


@pytest.mark.parametrize("wanted", ["chat", "embedding", "rerank"])
@pytest.mark.parametrize("kind", ["chat", "embedding", "rerank"])
def test_a_request_for_another_kind_is_told_what_to_do(kind: str, wanted: str) -> None:
    entry = ModelEntry(id="it", path="/it.gguf", format="gguf", size=0, kind=kind)  # type: ignore[arg-type]
    if kind == wanted:
        check_kind(entry, wanted)  # type: ignore[arg-type]
        return
    with pytest.raises(Unsupported, match="it ") as caught:
        check_kind(entry, wanted)  # type: ignore[arg-type]
    assert caught.value.info.remedy.startswith("Choose a")
    assert caught.value.info.param == "model"


def plan(path: Path, **wishes: int) -> LoadPlan:
    hardware = Hardware(cores=2, memory=8 * GB, memory_free=4 * GB)
    return LlamaSpec().plan(ModelEntry(id="it", path=str(path), format="gguf", size=0), hardware, **wishes)


def test_a_pass_of_a_model_that_reads_at_once_holds_a_whole_context(tmp_path: Path) -> None:
    found = plan(write_bert(tmp_path / "bert.gguf", random_bert(context=1024)))
    assert found.context == 1024
    assert found.options["encode"]
    assert found.options["n_batch"] == found.options["n_ubatch"] == 1024
    assert found.options["n_together"] == 512
    assert plan(write_bert(tmp_path / "short.gguf", random_bert(context=128))).options["n_batch"] == 512


def test_a_decoder_that_pools_computes_pieces(tmp_path: Path) -> None:
    found = plan(pooled(tmp_path / "vectors.gguf", gguf.PoolingType.LAST), context=512)
    assert found.options["encode"]
    assert found.options["n_batch"] == 512
    assert found.options["n_cells"] == found.context == 512


def decide(shape: Shape, *, memory: float, free: float | None = None, at_once: bool = True, **wishes: int) -> Choice:
    hardware = Hardware(cores=2, memory=int(memory * GB), memory_free=int((free or memory) * GB))
    return choose_vectors(shape, hardware, COEFFICIENTS, wishes=Wishes(**wishes), at_once=at_once, on_gpu=False)


def test_the_trained_context_where_the_machine_is_large_and_less_on_a_small_one() -> None:
    assert decide(ENCODER, memory=64).load.context == 8192
    small = decide(ENCODER, memory=8)
    assert 512 <= small.load.context < 8192
    assert any("8,192" in reason and "one text of that length" in reason for reason in small.reasons)
    assert small.estimate.compute <= 2 * GB


def test_a_wish_goes_beyond_the_bound_but_not_beyond_the_memory() -> None:
    assert decide(ENCODER, memory=16, context=6000).load.context == 6000
    assert decide(ENCODER, memory=8, free=4, context=8192).load.context < 4096


def test_the_plan_rests_on_what_the_machine_has_and_not_on_what_others_take() -> None:
    assert (
        decide(DECODER, memory=16, free=15, at_once=False).load
        == decide(DECODER, memory=16, free=8, at_once=False).load
    )


def test_a_large_vocabulary_makes_passes_small() -> None:
    assert tokens_together(ENCODER) == 128
    assert tokens_together(DECODER) == 256
    assert decide(DECODER, memory=64, at_once=False).load.graph_tokens == 256


def test_too_little_memory_is_refused_with_the_sum() -> None:
    with pytest.raises(InsufficientMemory, match=r"1\.0 GB weights"):
        decide(ENCODER, memory=8, free=1.2)
