"""Requests for vectors and scores in the child, over an encoder that counts letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from workers import answer, ask, running

from engine.errors import InsufficientMemory, Unsupported
from engine.types import (
    EmbedRequest,
    GenerateRequest,
    LoadedFacts,
    Message,
    RerankRequest,
    TokenizeRequest,
    WorkerStats,
)
from engine.worker.loop.encodings import Encodings
from engine.worker.protocol import (
    Cancel,
    Command,
    Embed,
    Embedded,
    Generate,
    GetStats,
    Ranked,
    Report,
    RequestFailed,
    Rerank,
    Stats,
    Tokenize,
    Tokenized,
)

BEGIN, END = 1, 2
MOST_STEPS = 1000


class Letters:
    """A vocabulary of bytes."""

    size = 256

    def encode(self, text: str, *, special: bool) -> list[int]:
        return [BEGIN, *text.encode()]

    def piece(self, token: int) -> bytes:
        return bytes([token])

    def spelling(self, token: int) -> str:
        return chr(token)


class Counter:
    """Each row: the number of tokens, the first and the last of the text, and 2."""

    vocabulary = Letters()
    together, inputs = 16, 4

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.fault: Exception | None = None
        self.poison = False
        self.patience = 0
        self._left: list[tuple[int, ...]] = []

    def tokens(self, text: str) -> tuple[int, ...]:
        return (BEGIN, *text.encode(), END)

    def pair(self, query: str, document: str) -> tuple[int, ...]:
        return (BEGIN, *query.encode(), END, *document.encode(), END)

    def begin(self, inputs: Sequence[tuple[int, ...]]) -> None:
        self._left = list(inputs)
        self.batches.append([bytes(token for token in each if token > END).decode() for each in inputs])

    def step(self) -> Sequence[np.ndarray] | None:
        if self.fault is not None:
            raise self.fault
        if self.patience:
            self.patience -= 1
            return None
        rows = [np.array([len(each), each[1], each[-2], 2.0], np.float32) for each in self._left]
        return [row * np.nan for row in rows] if self.poison else rows

    def stats(self) -> WorkerStats:
        return WorkerStats(memory=7)


class Reports(list[Report]):
    """Takes what is sent (`Wire.send`)."""

    def send(self, reports: Iterable[Report]) -> None:
        self.extend(reports)

    def of(self, identity: int) -> Report:
        found = [report for report in self if getattr(report, "id", None) == identity]
        assert len(found) == 1, found
        return found[0]


class Worker:
    """The service, its encoder and what it said."""

    def __init__(self, **facts: bool) -> None:
        self.encoder, self.said = Counter(), Reports()
        abilities = {"embeddings": True} | facts
        loaded = LoadedFacts(context=32, slots=4, device="none", chat=False, dimensions=4, **abilities)
        self.service = Encodings(self.encoder, self.said, loaded)  # type: ignore[arg-type]

    def tell(self, *commands: Command) -> None:
        for command in commands:
            self.said.send(self.service.obey(command))

    def work(self) -> bool:
        for _ in range(MOST_STEPS):
            if not self.service.busy:
                return True
            if not self.service.step():
                return False
        raise AssertionError("never done")

    def failure(self, *commands: Command) -> str:
        """The code and the words of the one request's failure."""
        self.tell(*commands)
        self.work()
        (report,) = self.said
        assert isinstance(report, RequestFailed)
        return f"{report.error.code}: {report.error.sentence()}"


def embed(identity: int, *inputs: str | tuple[int, ...], dimensions: int | None = None) -> Embed:
    return Embed(id=identity, request=EmbedRequest(inputs=inputs, dimensions=dimensions))


def vectors(report: Report) -> np.ndarray:
    assert isinstance(report, Embedded)
    return np.array([np.frombuffer(vector, "<f4") for vector in report.embeddings.vectors])


def test_vectors_have_length_one_and_keep_their_order() -> None:
    worker = Worker()
    worker.tell(embed(1, "abc", "z", (ord("q"), ord("r"))))
    assert worker.work()
    report = worker.said.of(1)
    wanted = np.array([[5, 97, 99, 2], [3, 122, 122, 2], [2, 114, 113, 2]])
    assert np.allclose(vectors(report), wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-6)
    assert isinstance(report, Embedded) and report.embeddings.prompt_tokens == 5 + 3 + 2


def test_fewer_dimensions_have_length_one_again() -> None:
    worker = Worker()
    worker.tell(embed(1, "abc", dimensions=2))
    worker.work()
    (vector,) = vectors(worker.said.of(1))
    assert np.allclose(vector, np.array([5, 97]) / np.hypot(5, 97), atol=1e-6)


def test_a_batch_is_shared_and_a_small_request_does_not_wait_for_a_large_one() -> None:
    worker = Worker()
    worker.tell(embed(1, *(f"a{index}" for index in range(12))), embed(2, "b0"), embed(3, "c0", "c1"))
    worker.work()
    finished = [report.id for report in worker.said if isinstance(report, Embedded)]
    assert finished == [2, 3, 1]
    assert all(len(batch) <= 4 for batch in worker.encoder.batches)
    assert any(len({text[0] for text in batch}) > 1 for batch in worker.encoder.batches)


def test_what_is_cancelled_is_computed_no_further() -> None:
    worker = Worker()
    worker.tell(embed(1, *("abcdefghijkl" for _ in range(50))), embed(2, "b"))
    for _ in range(4):
        worker.service.step()
    before = len(worker.encoder.batches)
    worker.tell(Cancel(id=1))
    worker.work()
    assert len(worker.encoder.batches) - before <= 1
    assert [getattr(report, "id", None) for report in worker.said] == [2]


def test_a_batch_of_cancelled_requests_is_dropped_in_the_middle() -> None:
    worker = Worker()
    worker.encoder.patience = 100
    worker.tell(embed(1, "a" * 20))
    while not worker.encoder.batches:
        worker.service.step()
    worker.tell(Cancel(id=1), embed(2, "b"))
    worker.encoder.patience = 0
    worker.work()
    assert worker.encoder.batches == [["a" * 20], ["b"]]
    assert isinstance(worker.said.of(2), Embedded)


def test_a_reranker_scores_in_the_order_of_the_documents() -> None:
    worker = Worker(embeddings=False, rerank=True)
    worker.tell(Rerank(id=5, request=RerankRequest(query="q", documents=("abc", "", "z"))))
    worker.work()
    report = worker.said.of(5)
    assert isinstance(report, Ranked)
    assert report.ranking.scores == (7.0, 4.0, 5.0)
    assert report.ranking.prompt_tokens == 16


def test_an_input_over_the_context_is_named_with_both_numbers() -> None:
    said = Worker().failure(embed(1, "short", "x" * 40))
    assert said.startswith("context_length_exceeded: This model's maximum context length is 32 tokens.")
    assert "input[1] resulted in 42 tokens" in said


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (embed(1, "a", (3, 256)), r"input[1] has tokens that are not"),
        (embed(1, "a", ()), r"input[1] is empty"),
        (embed(1), "There are no inputs"),
        (embed(1, "a", dimensions=5), "between 1 and 4"),
        (Rerank(id=1, request=RerankRequest(query="q", documents=("d",))), "unsupported: This model makes vectors"),
        (Generate(id=1, request=GenerateRequest(prompt="x")), "unsupported: This model turns texts into vectors"),
        (
            Tokenize(
                id=1,
                request=TokenizeRequest(request=GenerateRequest(messages=(Message(role="user", content="x"),))),
            ),
            "has no conversations",
        ),
    ],
)
def test_what_is_wrong_is_said(command: Command, words: str) -> None:
    assert words in Worker().failure(command)


def test_a_reranker_makes_no_vectors() -> None:
    assert "makes no vectors" in Worker(embeddings=False, rerank=True).failure(embed(1, "a"))


def test_what_is_no_number_is_no_vector() -> None:
    worker = Worker()
    worker.encoder.poison = True
    assert "no number" in worker.failure(embed(1, "a"))


def test_a_batch_that_cannot_be_computed_fails_its_own_requests_alone() -> None:
    worker = Worker()
    worker.tell(embed(1, "a" * 15))
    while not worker.encoder.batches:
        worker.encoder.fault = InsufficientMemory("No room.")
        worker.service.step()
    worker.encoder.fault = None
    worker.tell(embed(2, "b"))
    worker.work()
    assert isinstance(worker.said.of(1), RequestFailed)
    assert isinstance(worker.said.of(2), Embedded)


def test_an_unforeseen_failure_ends_everything() -> None:
    worker = Worker()
    worker.encoder.fault = RuntimeError("boom")
    worker.tell(embed(1, "a"), embed(2, "b"))
    assert not worker.work()
    assert {report.error.code for report in worker.said if isinstance(report, RequestFailed)} == {"worker_died"}
    assert len(worker.said) == 2


def test_at_the_end_what_is_open_fails() -> None:
    worker = Worker()
    worker.tell(embed(1, "a"), embed(2, "b"))
    ended = worker.service.end()
    assert [(report.id, report.error.code) for report in ended if isinstance(report, RequestFailed)] == [
        (1, "worker_died"),
        (2, "worker_died"),
    ]


def test_tokens_with_their_ends_and_without() -> None:
    worker = Worker()
    worker.tell(
        Tokenize(id=1, request=TokenizeRequest(text="ab", add_special=True)),
        Tokenize(id=2, request=TokenizeRequest(text="ab")),
    )
    found = [report.tokens.ids for report in worker.said if isinstance(report, Tokenized)]
    assert found == [(BEGIN, 97, 98, END), (97, 98)]


def test_live_numbers() -> None:
    worker = Worker()
    worker.encoder.patience = 100
    worker.tell(embed(1, "a" * 12), embed(2, "b" * 12))
    while not worker.encoder.batches:
        worker.service.step()
    worker.tell(GetStats())
    (report,) = worker.said
    assert isinstance(report, Stats)
    assert (report.stats.running, report.stats.waiting, report.stats.memory) == (1, 1, 7)


async def test_a_model_that_continues_text_says_so_and_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as handle:
        assert handle.info.facts is not None
        assert (handle.info.facts.chat, handle.info.facts.embeddings, handle.info.facts.rerank) == (True, False, False)
        with pytest.raises(Unsupported, match="makes no vectors"):
            await handle.embed(EmbedRequest(inputs=("a",)))
        with pytest.raises(Unsupported, match="scores no documents"):
            await handle.rerank(RerankRequest(query="q", documents=("a",)))
        assert (await answer(handle, ask("hello")))[0] == "You said: hello"
