"""The llama.cpp backend generates: sampling, batching, reuse of prefixes, ends and cancels."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.llama_backend import GREEDY, Outcome, alone, collect, job, load, prompt, run
from fixtures.shape_model import SPECIAL, write_model

from engine.errors import BadInput, ContextLengthExceeded
from engine.runtimes.llama_cpp.worker import LlamaBackend
from engine.types import Sampling
from engine.worker.backend import Job

FLAT = Sampling(temperature=100.0, top_k=0, top_p=1.0, min_p=0.0)
"""Nearly every token is as likely as any other."""
LONG = "in the end " * 40


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "shape.gguf")


@pytest.fixture
def backend(model: Path) -> LlamaBackend:
    return load(model)


def test_text_becomes_tokens_and_comes_back(backend: LlamaBackend) -> None:
    tokens = prompt(backend, "<|user|>the hen, über alles 🚂")
    assert tokens[:2] == (0, SPECIAL.index("<|user|>"))
    assert b"".join(backend.vocabulary.piece(token) for token in tokens).decode() == "the hen, über alles 🚂"


def test_a_prompt_that_begins_with_the_first_token_gets_no_second_one(backend: LlamaBackend) -> None:
    assert prompt(backend, "<|begin|>hen") == prompt(backend, "hen")


def test_control_tokens_are_mere_text_where_they_are_not_wanted(backend: LlamaBackend) -> None:
    tokens = backend.vocabulary.encode("<|user|>", special=False)
    assert SPECIAL.index("<|user|>") not in tokens
    assert b"".join(map(backend.vocabulary.piece, tokens)) == b"<|user|>"


def test_the_template_and_spellings_come_from_the_file(backend: LlamaBackend) -> None:
    assert "add_generation_prompt" in (backend.text.template or "")
    assert (backend.text.bos, backend.text.eos) == ("<|begin|>", "<|end|>")


def test_the_file_may_recommend_a_sampling(tmp_path: Path) -> None:
    def recommend(writer: object) -> None:
        writer.add_float32("general.sampling.temp", 0.5)  # type: ignore[attr-defined]
        writer.add_int32("general.sampling.top_k", 7)  # type: ignore[attr-defined]

    found = load(write_model(tmp_path / "m.gguf", metadata=recommend)).text.defaults
    assert (found.temperature, found.top_k, found.top_p) == (0.5, 7, None)


def test_the_same_seed_gives_the_same_text(backend: LlamaBackend) -> None:
    def text(seed: int) -> list[int]:
        return alone(backend, LONG, sampling=Sampling(temperature=1.5, seed=seed)).tokens

    text(1)  # computes the prompt, which the others find cached in the same place
    assert text(1) == text(1)
    assert text(1) != text(2)


def test_without_a_seed_texts_differ(backend: LlamaBackend) -> None:
    texts = {tuple(alone(backend, "the", sampling=FLAT).tokens) for _ in range(3)}
    assert len(texts) == 3


def test_prompts_in_one_batch_give_the_text_they_give_alone(model: Path) -> None:
    texts = ["the hen", "an inn in the north", "er", LONG]
    expected = [alone(load(model), text).tokens for text in texts]
    backend = load(model, n_seq=4)
    found = run(backend, [job(backend, text, number=number) for number, text in enumerate(texts)])
    assert [found[number].tokens for number in range(4)] == expected


def test_a_cached_prefix_is_counted_and_changes_nothing(model: Path) -> None:
    backend = load(model)
    first = alone(backend, LONG)
    warm = alone(backend, LONG + "and then")
    cold = alone(load(model), LONG + "and then")
    assert first.cached == cold.cached == 0
    assert warm.cached >= len(prompt(backend, LONG)) - 1
    assert warm.tokens == cold.tokens


def test_the_same_prompt_again_computes_one_token(backend: LlamaBackend) -> None:
    assert alone(backend, LONG).tokens == (again := alone(backend, LONG)).tokens
    assert again.cached == len(prompt(backend, LONG)) - 1


def test_a_prefix_is_shared_with_a_sequence_that_still_runs(model: Path) -> None:
    backend = load(model)
    found = {1: Outcome(), 2: Outcome()}
    backend.add(job(backend, LONG, number=1, max_tokens=60))
    while not found[1].tokens:
        collect(found, backend.step())
    backend.add(job(backend, LONG + "other", number=2))
    while backend.busy:
        collect(found, backend.step())
    assert found[2].cached >= len(prompt(backend, LONG)) - 1
    assert found[2].tokens == alone(load(model), LONG + "other").tokens
    assert found[1].tokens == alone(load(model), LONG, max_tokens=60).tokens


def test_a_short_prompt_leaves_a_long_cached_one_alone(backend: LlamaBackend) -> None:
    alone(backend, LONG)
    alone(backend, "in the")
    alone(backend, "in the beginning")
    assert alone(backend, LONG + "more").cached >= len(prompt(backend, LONG)) - 1


def test_a_sliding_window_reuses_what_it_can_and_is_right(tmp_path: Path) -> None:
    model = write_model(tmp_path / "sliding.gguf", window=32, context=2048)
    long, edited = LONG * 4, (LONG * 4)[:-600] + "and so on"
    for whole in (False, True):
        options = {"n_ctx": 2048, "n_batch": 64, "n_ubatch": 64, "swa_full": whole}
        backend = load(model, **options)
        alone(backend, long)
        warm, cold = alone(backend, edited), alone(load(model, **options), edited)
        assert warm.tokens == cold.tokens
        assert len(set(cold.tokens)) > 1
        assert (warm.cached > 0) == whole
        assert alone(backend, edited + " more").cached > 0


def test_a_repeated_token_can_be_penalized(backend: LlamaBackend) -> None:
    sampling = Sampling(temperature=0.0, presence_penalty=1000.0)
    tokens = alone(backend, "the", sampling=sampling, max_tokens=100, ignore_eos=True).tokens
    assert len(set(tokens)) == len(tokens) == 100
    repeated = alone(backend, "the", sampling=Sampling(temperature=0.0, repeat_penalty=5.0), max_tokens=50).tokens
    assert repeated != alone(backend, "the", max_tokens=50).tokens


def test_greedy_is_the_same_with_and_without_a_chain(backend: LlamaBackend) -> None:
    chained = alone(backend, "the", sampling=Sampling(temperature=0.0, presence_penalty=1e-9))
    assert chained.tokens == alone(backend, "the").tokens


def test_the_end_token_ends_an_answer_unless_it_is_forbidden(model: Path) -> None:
    backend = load(model, n_seq=8)

    def outcomes(forbid: bool) -> list[Outcome]:
        sampling = [Sampling(temperature=100.0, top_k=0, top_p=1.0, min_p=0.0, seed=seed) for seed in range(8)]
        jobs = [
            job(backend, "the", number=number, sampling=each, max_tokens=400, ignore_eos=forbid)
            for number, each in enumerate(sampling)
        ]
        return list(run(backend, jobs).values())

    ended = [each for each in outcomes(False) if each.finish == "stop"]
    assert ended
    assert all(1 not in each.tokens and len(each.tokens) < 400 for each in ended)
    assert all(each.finish == "length" and 1 not in each.tokens for each in outcomes(True))


def test_a_full_context_ends_with_length(backend: LlamaBackend) -> None:
    room = 512 - len(prompt(backend, LONG))
    outcome = alone(backend, LONG, max_tokens=room, ignore_eos=True)
    assert (outcome.finish, len(outcome.tokens)) == ("length", room)


def test_what_cannot_run_is_refused_and_others_go_on(backend: LlamaBackend) -> None:
    with pytest.raises(ContextLengthExceeded, match="maximum context length is 512 tokens"):
        backend.add(job(backend, LONG * 5))
    for tokens in ((), (0, 1 << 20), (-1,)):
        with pytest.raises(BadInput):
            backend.add(Job(id=1, tokens=tokens, sampling=GREEDY, max_tokens=2))
    assert not backend.busy
    assert len(alone(backend, "the").tokens) == 24


def test_a_cancelled_sequence_is_heard_of_no_more(backend: LlamaBackend) -> None:
    found = {1: Outcome(), 2: Outcome(), 3: Outcome()}
    for number, text in ((1, "the"), (2, "hen"), (3, "waits")):
        backend.add(job(backend, text, number=number, max_tokens=100))
    for _ in range(5):
        collect(found, backend.step())
    before = len(found[1].tokens)
    backend.cancel(1)
    backend.cancel(99)
    while backend.busy:
        collect(found, backend.step())
    assert 0 < before == len(found[1].tokens)
    assert [len(found[number].tokens) for number in (2, 3)] == [100, 100]


def test_a_waiting_sequence_can_be_cancelled(backend: LlamaBackend) -> None:
    found = {number: Outcome() for number in range(3)}
    for number in range(3):
        backend.add(job(backend, "the", number=number))
    collect(found, backend.step())
    backend.cancel(2)
    while backend.busy:
        collect(found, backend.step())
    assert not found[2].tokens


def test_a_long_prompt_lets_a_stream_go_on(model: Path) -> None:
    backend = load(model, n_batch=64, n_ubatch=64)
    found = {1: Outcome(), 2: Outcome()}
    backend.add(job(backend, "the", number=1, max_tokens=200, ignore_eos=True))
    while not found[1].tokens:
        collect(found, backend.step())
    backend.add(job(backend, LONG, number=2))
    while not found[2].tokens:
        before = len(found[1].tokens)
        collect(found, backend.step())
        assert len(found[1].tokens) == before + 1
    assert len(found[2].prefilled) >= len(prompt(backend, LONG)) // 64
    assert found[2].prefilled == sorted(found[2].prefilled)


def test_a_short_prompt_overtakes_a_long_one(model: Path) -> None:
    backend = load(model, n_batch=64, n_ubatch=64)
    found = {1: Outcome(), 2: Outcome()}
    backend.add(job(backend, LONG, number=1))
    backend.add(job(backend, "a title", number=2))
    while not found[2].tokens:
        collect(found, backend.step())
    assert not found[1].tokens


def test_more_requests_than_slots_are_served_in_turn(backend: LlamaBackend) -> None:
    order: list[int] = []
    found = {number: Outcome() for number in range(12)}
    for number in found:
        backend.add(job(backend, f"the {number}", number=number, max_tokens=8, ignore_eos=True))
    assert backend.stats().waiting == 12
    while backend.busy:
        steps = backend.step()
        collect(found, steps)
        order += [step.id for step in steps if step.finish]
        assert backend.stats().running <= 2
    assert order == sorted(order) == list(range(12))


def test_sequences_that_outgrow_the_shared_cache_wait_and_end_right(model: Path) -> None:
    texts = ["the hen", "an inn", "er"]
    expected = [alone(load(model), text, max_tokens=180, ignore_eos=True).tokens for text in texts]
    backend = load(model, n_ctx=256, n_seq=3, n_cells=256)
    jobs = [job(backend, t, number=n, max_tokens=180, ignore_eos=True) for n, t in enumerate(texts)]
    found = run(backend, jobs)
    assert [found[number].finish for number in range(3)] == ["length"] * 3
    assert [found[number].tokens for number in range(3)] == expected


def test_stats_say_what_is_in_the_cache(backend: LlamaBackend) -> None:
    alone(backend, LONG)
    stats = backend.stats()
    assert stats.context_used >= len(prompt(backend, LONG))
    assert (stats.running, stats.waiting, stats.decode_tok_s) == (0, 0, None)
    assert stats.memory is not None and stats.memory > 10_000_000
