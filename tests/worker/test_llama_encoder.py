"""Vectors and scores by llama.cpp, compared with numpy: real weights and small random ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from fixtures.bert_model import REAL, Bert, random_bert, real, unit, write_bert
from fixtures.llama_backend import load as load_chat
from fixtures.shape_model import write_model
from tokenizers import Tokenizer

from engine.errors import InternalError, ModelLoadError
from engine.runtimes.llama_cpp.worker import LlamaBackend
from engine.types import LoadedFacts
from engine.worker.backend import Encoder

TEXTS = [
    "A cat sits on the mat.",
    "Ein Café in Zürich, naïve coöperation — ÀÉÎõü!",
    "東京 is the capital of 日本; 👍 emoji & <html> [SEP] tokens",
    "internationalization " * 40,
]
Loaded = tuple[Encoder, LoadedFacts]


def load(path: Path, **options: Any) -> Loaded:
    backend = LlamaBackend()
    plain = {"encode": True, "n_ctx": 256, "n_seq": 8, "threads": 1, **options}
    facts = backend.load(str(path), plain, lambda _fraction, _stage: None)
    assert backend.encoder is not None
    return backend.encoder, facts


def rows(encoder: Encoder, inputs: list[tuple[int, ...]]) -> list[np.ndarray]:
    encoder.begin(inputs)
    while (found := encoder.step()) is None:
        pass
    return list(found)


@contextmanager
def refused(kind: type[Exception], path: Path) -> Iterator[None]:
    with pytest.raises(kind, match=path.name):
        yield


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("minilm") / "all-minilm.gguf", real())


@pytest.fixture(scope="module")
def real_encoder(minilm: Path) -> Encoder:
    return load(minilm, n_ctx=512, threads=2)[0]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_cut_as_the_model_s_own_tokenizer_does(real_encoder: Encoder, text: str) -> None:
    own = Tokenizer.from_file(str(REAL / "tokenizer.json"))
    own.no_truncation()
    own.no_padding()
    wanted = own.encode(text.replace("[SEP]", "")).ids
    assert list(real_encoder.tokens(text.replace("[SEP]", ""))) == wanted


def test_what_a_text_spells_is_no_control_token(real_encoder: Encoder) -> None:
    tokens = real_encoder.tokens("a [SEP] b")
    assert tokens.count(102) == 1 and tokens[-1] == 102


def test_real_vectors_are_those_of_numpy(real_encoder: Encoder) -> None:
    bert = real()
    inputs = [real_encoder.tokens(text) for text in TEXTS]
    for tokens, row in zip(inputs, rows(real_encoder, inputs), strict=True):
        wanted = unit(bert.states(list(tokens)).mean(0))
        assert unit(row) @ wanted > 0.9999


def test_what_means_the_same_is_near(real_encoder: Encoder) -> None:
    texts = ["How do I reset my password?", "I forgot my login and need a new one.", "The hen laid three eggs."]
    question, same, other = (unit(row) for row in rows(real_encoder, [real_encoder.tokens(text) for text in texts]))
    assert question @ same > question @ other + 0.3


POOLED: dict[gguf.PoolingType, Callable[[np.ndarray], np.ndarray]] = {
    gguf.PoolingType.MEAN: lambda states: states.mean(0),
    gguf.PoolingType.CLS: lambda states: states[0],
    gguf.PoolingType.LAST: lambda states: states[-1],
}


@pytest.mark.parametrize("pooling", POOLED)
def test_each_pooling_alone_and_in_a_batch(tmp_path: Path, pooling: gguf.PoolingType) -> None:
    bert = random_bert()
    encoder, facts = load(write_bert(tmp_path / "tiny.gguf", bert, pooling))
    assert (facts.chat, facts.embeddings, facts.rerank, facts.dimensions) == (False, True, False, 32)
    inputs = [encoder.tokens(text) for text in ("the hen", "a", "z" * 30, "hen the then")]
    together = rows(encoder, inputs)
    for tokens, row in zip(inputs, together, strict=True):
        assert np.allclose(row, POOLED[pooling](bert.states(list(tokens))), atol=0.02)
        assert np.allclose(row, rows(encoder, [tokens])[0], atol=1e-3)


def test_an_input_as_long_as_the_context(tmp_path: Path) -> None:
    bert = random_bert()
    encoder, _ = load(write_bert(tmp_path / "tiny.gguf", bert), n_together=64)
    tokens = [2, *(5 + index % 26 for index in range(254)), 3]
    (row,) = rows(encoder, [tuple(tokens)])
    assert np.allclose(row, bert.states(tokens).mean(0), atol=0.02)


def test_a_file_without_pooling_is_refused(tmp_path: Path) -> None:
    path = write_bert(tmp_path / "plain.gguf", random_bert(), None)
    with refused(ModelLoadError, path):
        load(path)


def test_passes_shorter_than_the_context_are_a_fault_of_the_host(tmp_path: Path) -> None:
    path = write_bert(tmp_path / "tiny.gguf", random_bert())
    with refused(InternalError, path):
        load(path, n_batch=64, n_ubatch=64)


def test_a_reranker_scores_as_numpy_does(tmp_path: Path) -> None:
    bert = random_bert(classifier=True)
    encoder, facts = load(write_bert(tmp_path / "rank.gguf", bert, gguf.PoolingType.RANK))
    assert (facts.chat, facts.embeddings, facts.rerank, facts.dimensions) == (False, False, True, None)
    pairs = [encoder.pair("the hen", document) for document in ("hen", "then the", "zebra [SEP] a")]
    assert pairs[0] == (2, *_plain(bert, "the hen"), 3, *_plain(bert, "hen"), 3)
    assert all(pair.count(3) == 2 for pair in pairs)
    scores = [float(row[0]) for row in rows(encoder, pairs)]
    assert scores == pytest.approx([bert.score(list(pair)) for pair in pairs], abs=0.01)
    assert len(set(scores)) == 3


def test_a_template_for_reranking_is_filled_once_and_what_it_is_filled_with_is_text(tmp_path: Path) -> None:
    def template(writer: gguf.GGUFWriter) -> None:
        writer.add_chat_template([{"name": "rerank", "template": "[CLS]{document}[SEP]{query}"}])

    bert = random_bert(classifier=True)
    path = write_bert(tmp_path / "rank.gguf", bert, gguf.PoolingType.RANK, metadata=template)
    encoder, _ = load(path)
    pair = encoder.pair("{document}", "the [SEP]")
    assert pair.count(3) == 1
    separator = pair.index(3)
    assert pair[:2] == (2, bert.words.index("the"))
    assert pair[separator + 1 :] == encoder.tokens("{document}")[1:-1]


def _plain(bert: Bert, text: str) -> tuple[int, ...]:
    return tuple(bert.words.index(word) for word in text.split())


def last(writer: gguf.GGUFWriter) -> None:
    writer.add_pooling_type(gguf.PoolingType.LAST)


def test_a_decoder_s_vector_is_the_state_that_its_next_token_comes_from(tmp_path: Path) -> None:
    chat = write_model(tmp_path / "chat.gguf")
    encoder, facts = load(write_model(tmp_path / "vectors.gguf", metadata=last), n_ctx=512, n_seq=2)
    assert facts.dimensions == 64
    output = next(tensor for tensor in gguf.GGUFReader(chat).tensors if tensor.name == "output.weight")
    tokens = encoder.tokens("the hen in the inn")
    (row,) = rows(encoder, [tokens])
    model = load_chat(chat)._stepper._model
    batch = load_chat(chat)._stepper._batch
    batch.clear()
    number = batch.add_tokens(0, list(tokens), 0, last=True)
    assert model.decode(batch.struct) == 0
    assert np.allclose(output.data @ row, model.logits(number), atol=0.05)


def test_a_decoder_reads_a_long_input_in_pieces(tmp_path: Path) -> None:
    path = write_model(tmp_path / "vectors.gguf", metadata=last)
    inputs = [tuple(4 + (index * index + start) % 256 for index in range(500)) for start in range(2)]
    whole, _ = load(path, n_ctx=1024, n_batch=1024, n_ubatch=1024)
    pieces, _ = load(path, n_ctx=1024, n_batch=64, n_ubatch=64)
    assert np.allclose(rows(whole, inputs), rows(pieces, inputs), atol=0.01)
    pieces.begin(inputs[:1])
    assert [pieces.step() is None for _ in range(8)] == [True] * 7 + [False]


def test_a_batch_that_was_left_does_not_disturb_the_next(tmp_path: Path) -> None:
    encoder, _ = load(write_model(tmp_path / "vectors.gguf", metadata=last), n_ctx=512, n_batch=64, n_ubatch=64)
    short = encoder.tokens("the hen")
    before = rows(encoder, [short])[0]
    encoder.begin([tuple(range(4, 204))])
    assert encoder.step() is None
    assert np.allclose(rows(encoder, [short])[0], before)


def qwen3(writer: gguf.GGUFWriter, *, pooling: gguf.PoolingType) -> None:
    """What turns the random Llama into a Qwen 3 that classifies."""
    rng = np.random.default_rng(3)
    for index in range(2):
        for name in ("attn_q_norm", "attn_k_norm"):
            writer.add_tensor(f"blk.{index}.{name}.weight", np.ones(16, np.float32))
    writer.add_pooling_type(pooling)
    if pooling is gguf.PoolingType.RANK:
        writer.add_classifier_output_labels(["yes", "no"])
        writer.add_tensor("cls.output.weight", rng.standard_normal((2, 64), dtype=np.float32))


def test_a_decoder_s_score_is_the_probability_of_its_first_class(tmp_path: Path) -> None:
    shape = {"architecture": "qwen3"}
    states, _ = load(
        write_model(tmp_path / "states.gguf", **shape, metadata=lambda w: qwen3(w, pooling=gguf.PoolingType.LAST))
    )
    path = write_model(tmp_path / "rank.gguf", **shape, metadata=lambda w: qwen3(w, pooling=gguf.PoolingType.RANK))
    ranker, facts = load(path)
    assert facts.rerank
    head = next(tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name == "cls.output.weight").data
    pairs = [ranker.pair("the hen", document) for document in ("in", "an inn", "then")]
    classes = np.exp([head @ row for row in rows(states, pairs)])
    wanted = classes[:, 0] / classes.sum(1)
    assert [float(row[0]) for row in rows(ranker, pairs)] == pytest.approx(list(wanted), abs=0.01)
