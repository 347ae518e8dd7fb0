"""Guessing ahead with llama.cpp: the answers are those without, whatever is guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.hybrid_model import write_hybrid
from fixtures.llama_backend import Outcome, alone, collect, job, load, prompt, run
from fixtures.shape_model import write_model

from engine.runtimes.llama_cpp._model import Model
from engine.runtimes.llama_cpp.lookup import Guess, History, Judgement
from engine.runtimes.llama_cpp.options import DRAFT_ROWS
from engine.runtimes.llama_cpp.step_costs import StepCosts
from engine.runtimes.llama_cpp.worker import LlamaBackend
from engine.types import Sampling
from engine.worker.backend import Job, Step

LONG = "in the end the hen " * 12
KINDS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampled": {"sampling": Sampling(temperature=0.6, top_k=5, seed=7), "ignore_eos": True},
    "wild": {"sampling": Sampling(temperature=3.0, seed=3), "ignore_eos": True},
    "penalized": {"sampling": Sampling(temperature=0.0, repeat_penalty=1.3, presence_penalty=0.5)},
    "dry": {"sampling": Sampling(temperature=0.4, dry_multiplier=0.8, seed=5)},
    "mirostat": {"sampling": Sampling(temperature=0.9, mirostat=2, seed=11)},
    "grammar": {"grammar": 'root ::= ("ab" | "cd" | " ")+', "sampling": Sampling(temperature=1.0, seed=2)},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "shape.gguf", context=1024)


@pytest.fixture(autouse=True)
def free_of_charge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide steps cost nothing and guesses are thought to hold, so that every one is computed, right or wrong."""
    monkeypatch.setattr(StepCosts, "seconds", lambda _self, _width: 1.0)
    monkeypatch.setattr(Judgement, "rate", lambda _self, _matched: 0.9)


def steps_of(backend: LlamaBackend, each: Job) -> list[Step]:
    backend.add(each)
    found: list[Step] = []
    while backend.busy:
        found += backend.step()
    return found


def drafted(steps: list[Step]) -> tuple[int, int]:
    return sum(step.drafted for step in steps), sum(step.accepted for step in steps)


def text_of(steps: list[Step]) -> list[int]:
    return [token for step in steps for token in step.tokens]


def foretell(monkeypatch: pytest.MonkeyPatch, begin: int, answer: list[int]) -> None:
    """Guesses are the answer that will come, which begins at position `begin`, but for every fifth token."""
    true = [token if place % 5 else (token + 1) % 250 for place, token in enumerate(answer)]

    def guess(self: History, most: int) -> Guess | None:
        tokens = tuple(true[self._count - begin :][:most])
        return Guess(tokens, 8) if tokens else None

    monkeypatch.setattr(History, "guess", guess)


def fix_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits hang on a token and its position alone, to the last bit: computed ones depend on the width of a step."""
    decode = Model.decode

    def fixed(self: Model, batch: Any) -> int:
        status = decode(self, batch)
        for row in range(batch.n_tokens):
            if status == 0 and batch.logits[row]:
                rng = np.random.default_rng((batch.token[row], batch.pos[row]))
                self.logits(row)[:] = rng.standard_normal(self.vocabulary.size, np.float32) * 3
        return status

    monkeypatch.setattr(Model, "decode", fixed)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_logits_give_the_answer_without_guesses(
    model: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, plain = load(model, n_ctx=1024), load(model, n_ctx=1024, speculation="off")
    fix_logits(monkeypatch)
    for text in ("the hen", LONG):
        wish = {"max_tokens": 100, "most_drafted": 8, **KINDS[kind]}
        expected = steps_of(plain, job(plain, text, **wish))
        foretell(monkeypatch, len(prompt(plain, text)), text_of(expected))
        guessed = steps_of(backend, job(backend, text, **wish))
        assert text_of(guessed) == text_of(expected)
        assert guessed[-1].finish == expected[-1].finish
        assert drafted(expected) == (0, 0)
        told, held = drafted(guessed)
        assert len(text_of(expected)) < 6 or len(text_of(expected)) // 2 <= held < told


def test_guesses_that_hold_spare_steps_and_are_counted(model: Path) -> None:
    backend = load(model, n_ctx=1024)
    steps = steps_of(backend, job(backend, LONG, max_tokens=200, ignore_eos=True))
    told, held = drafted(steps)
    decode = [step for step in steps if step.tokens]
    assert len(decode) == 200 - held
    assert 0 < held <= told
    assert all(step.accepted <= step.drafted <= DRAFT_ROWS for step in steps)
    assert sum(len(step.tokens) for step in decode) == 200


def test_a_wish_bounds_the_guesses(model: Path) -> None:
    backend = load(model, n_ctx=1024)
    few = steps_of(backend, job(backend, LONG, max_tokens=100, most_drafted=2))
    none = steps_of(backend, job(backend, LONG, max_tokens=100, most_drafted=0))
    assert max(step.drafted for step in few) == 2
    assert drafted(none) == (0, 0)
    assert text_of(few) == text_of(none)


def test_sequences_side_by_side_guess_each_for_itself(model: Path) -> None:
    texts = [LONG, "the hen", LONG + "and", "er"]
    off = [alone(load(model, n_ctx=1024, speculation="off"), text, max_tokens=120).tokens for text in texts]
    backend = load(model, n_ctx=1024, n_seq=4)
    found = run(backend, [job(backend, text, number=n, max_tokens=120) for n, text in enumerate(texts)])
    assert [found[number].tokens for number in range(4)] == off


def test_the_cache_holds_what_was_taken_and_nothing_else(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A next turn that goes on from the answer is computed from there, and gives what it gives afresh."""
    expected = alone(load(model, n_ctx=1024), LONG, max_tokens=90, **KINDS["sampled"]).tokens
    foretell(monkeypatch, len(prompt(backend := load(model, n_ctx=1024), LONG)), expected)
    answer = steps_of(backend, job(backend, LONG, max_tokens=90, most_drafted=8, **KINDS["sampled"]))
    told, held = drafted(answer)
    assert 0 < held < told
    (slot,) = (each for each in backend._stepper._scheduler.slots if each.filled)
    whole = (*prompt(backend, LONG), *text_of(answer))
    assert tuple(slot.tokens) == whole and slot.filled == len(whole) - 1
    turn = Job(id=5, tokens=(*whole, *prompt(backend, "more")[1:]), sampling=Sampling(temperature=0.0), max_tokens=40)
    warm, cold = run(backend, [turn])[5], run(load(model, n_ctx=1024), [turn])[5]
    assert warm.cached == len(whole) - 1
    assert warm.tokens == cold.tokens


def test_log_probabilities_come_with_each_token(model: Path) -> None:
    backend, plain = load(model), load(model, speculation="off")
    guessed = steps_of(backend, job(backend, "the", max_tokens=60, top_logprobs=2))
    expected = steps_of(plain, job(plain, "the", max_tokens=60, top_logprobs=2))
    found = [told for step in guessed for told in step.logprobs]
    wanted = [told for step in expected for told in step.logprobs]
    assert drafted(guessed)[0] > 0
    assert [told.token for told in found] == text_of(guessed) == [told.token for told in wanted]
    assert [told.logprob for told in found] == pytest.approx([told.logprob for told in wanted], abs=1e-3)


def test_an_answer_ends_at_its_last_token_and_in_a_full_context(model: Path) -> None:
    backend = load(model, n_ctx=256)
    for room in (1, 2, 3, 17, 256 - len(prompt(backend, "the"))):
        outcome = alone(backend, "the", max_tokens=room, ignore_eos=True)
        assert (outcome.finish, len(outcome.tokens)) == ("length", room)


def test_a_cancel_between_steps_leaves_others_alone(model: Path) -> None:
    backend = load(model, n_ctx=1024)
    expected = alone(load(model, n_ctx=1024, speculation="off"), LONG, max_tokens=150).tokens
    found = {1: Outcome(), 2: Outcome()}
    backend.add(job(backend, LONG, number=1, max_tokens=150))
    backend.add(job(backend, LONG, number=2, max_tokens=150))
    while len(found[1].tokens) < 20:
        collect(found, backend.step())
    backend.cancel(1)
    while backend.busy:
        collect(found, backend.step())
    assert found[2].tokens == expected
    assert alone(backend, LONG, max_tokens=150).tokens == expected


def test_guesses_take_no_room_from_what_runs(model: Path) -> None:
    texts = ["the hen", "an inn", "er"]
    expected = [alone(load(model), text, max_tokens=180, ignore_eos=True).tokens for text in texts]
    backend = load(model, n_ctx=256, n_seq=3, n_cells=256)
    found = run(backend, [job(backend, t, number=n, max_tokens=180, ignore_eos=True) for n, t in enumerate(texts)])
    assert [found[number].tokens for number in range(3)] == expected


@pytest.mark.parametrize("whole", [False, True])
def test_a_sliding_window_gives_the_same_text(tmp_path: Path, whole: bool) -> None:
    model = write_model(tmp_path / "sliding.gguf", window=32, context=1024)
    options = {"n_ctx": 1024, "n_batch": 64, "n_ubatch": 64, "swa_full": whole}
    backend, plain = load(model, **options), load(model, speculation="off", **options)
    for text in (LONG, "the hen"):
        guessed = steps_of(backend, job(backend, text, max_tokens=300, ignore_eos=True))
        assert drafted(guessed)[0] > 0
        assert text_of(guessed) == alone(plain, text, max_tokens=300, ignore_eos=True).tokens


def test_a_memory_that_cannot_be_cut_is_left_alone(tmp_path: Path) -> None:
    backend = load(write_hybrid(tmp_path / "hybrid.gguf"))
    steps = steps_of(backend, job(backend, LONG, max_tokens=60, most_drafted=8))
    assert drafted(steps) == (0, 0) and text_of(steps)


@pytest.mark.parametrize(
    ("write", "options", "able"),
    [(write_model, {}, True), (write_model, {"speculation": "off"}, False), (write_hybrid, {}, False)],
)
def test_the_facts_say_whether_there_may_be_guesses(
    tmp_path: Path, write: Callable[[Path], Path], options: dict[str, Any], able: bool
) -> None:
    facts = LlamaBackend().load(str(write(tmp_path / "m.gguf")), {"n_ctx": 256, **options}, lambda _f, _s: None)
    assert facts.speculation is able
