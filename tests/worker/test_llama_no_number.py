"""Weights that are no numbers: a typed error for whom they concern, and the right answer for everybody else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.broken_model import spoiled
from fixtures.llama_backend import Outcome, alone, collect, job, load, prompt, run
from fixtures.shape_model import write_model

from engine.errors import CorruptModel
from engine.runtimes.llama_cpp.worker import LlamaBackend
from engine.types import Sampling

TEXT = "the hen"
CLEAN = ("an inn in the north", "er is more " * 20, "he and her hat " * 12)
"""Prompts none of whose tokens is the broken one; the long ones are computed by matrix kernels."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "shape.gguf")


@pytest.fixture(scope="module")
def answer(model: Path) -> list[int]:
    """What the whole model says to `TEXT`."""
    return alone(load(model), TEXT, max_tokens=20, ignore_eos=True).tokens


@pytest.fixture(scope="module")
def broken(model: Path, answer: list[int]) -> Path:
    """The model, but a token in the middle of that answer is embedded as what is no number."""
    assert answer.index(answer[12]) == 12
    return spoiled(model, model.with_name("broken.gguf"), "token_embd.weight", answer[12])


def clean(backend: LlamaBackend, text: str) -> list[int]:
    return alone(backend, text, max_tokens=8, ignore_eos=True).tokens


def assert_told(outcome: Outcome) -> None:
    assert outcome.finish is None
    assert outcome.error is not None
    assert outcome.error.code == "corrupt_model"
    assert "broken.gguf is not a number" in outcome.error.what
    assert outcome.error.remedy


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("tensor", "rows"),
    [
        ("blk.0.ffn_down.weight", slice(None)),
        ("blk.1.attn_v.weight", 3),
        ("output_norm.weight", 5),
        ("output.weight", slice(None)),
        ("output.weight", 200),
    ],
)
def test_broken_weights_are_an_error_of_the_load(
    model: Path, tmp_path: Path, tensor: str, rows: slice | int, value: float
) -> None:
    path = spoiled(model, tmp_path / "broken.gguf", tensor, rows, value)
    with pytest.raises(CorruptModel, match=r"broken\.gguf is not a number"):
        load(path)


@pytest.mark.parametrize(
    "sampling",
    [Sampling(temperature=0.0), Sampling(temperature=1e-3), Sampling(temperature=1e-3, top_k=0, top_p=1.0, min_p=0.0)],
    ids=["greedy", "chain", "whole vocabulary"],
)
def test_an_answer_that_stops_being_numbers_ends_with_an_error(broken: Path, sampling: Sampling) -> None:
    backend = load(broken)
    asked = job(backend, TEXT, sampling=sampling, max_tokens=400, ignore_eos=True, top_logprobs=2)
    assert_told(run(backend, [asked])[1])
    assert not backend.busy and backend.stats().running == 0


def test_so_does_one_that_is_held_to_a_grammar(model: Path, tmp_path: Path) -> None:
    def held(path: Path) -> Outcome:
        return alone(load(path), TEXT, grammar="root ::= [a-z ]{9} [^a-z]*", max_tokens=20)

    whole = held(model).tokens
    last = whole[8]
    path = spoiled(model, tmp_path / "broken.gguf", "token_embd.weight", last)
    outcome = held(path)
    assert_told(outcome)
    assert outcome.tokens == whole[: whole.index(last) + 1]


def test_what_was_said_until_then_is_what_the_whole_model_says(broken: Path, answer: list[int]) -> None:
    outcome = alone(load(broken), TEXT, max_tokens=20, ignore_eos=True)
    assert_told(outcome)
    assert outcome.tokens == answer[:13]


def test_the_next_requests_are_answered_right(model: Path, broken: Path) -> None:
    whole, backend = load(model), load(broken)
    for text in CLEAN:
        assert_told(alone(backend, TEXT, max_tokens=20, ignore_eos=True))
        assert clean(backend, text) == clean(whole, text)
        assert backend.stats().running == backend.stats().waiting == 0


def test_neighbours_in_the_batch_are_answered_right(model: Path, broken: Path, answer: list[int]) -> None:
    whole, backend = load(model, n_seq=5), load(broken, n_seq=4)
    guilty = [job(backend, TEXT, number=number, max_tokens=20, ignore_eos=True) for number in (10, 11)]
    innocent = [job(backend, text, number=n, max_tokens=8, ignore_eos=True) for n, text in enumerate(CLEAN)]
    found = run(backend, [guilty[0], *innocent, guilty[1]])
    for number, text in enumerate(CLEAN):
        assert found[number].error is None
        assert found[number].tokens == clean(whole, text)
    for number in (10, 11):
        assert_told(found[number])
        assert found[number].tokens == answer[:13]


def test_a_broken_prompt_that_is_cancelled_halfway_spoils_no_later_one(
    model: Path, broken: Path, answer: list[int]
) -> None:
    backend = load(broken, n_batch=64, n_ubatch=64, n_seq=2)
    asked = job(backend, "in the end " * 40, number=1)
    asked = type(asked)(
        id=1, tokens=(asked.tokens[0], answer[12], *asked.tokens[1:]), sampling=asked.sampling, max_tokens=4
    )
    found = {1: Outcome()}
    backend.add(asked)
    collect(found, backend.step())
    assert found[1].prefilled
    backend.cancel(1)
    for text in CLEAN:
        assert clean(backend, text) == clean(load(model), text)


def test_nothing_that_is_no_number_is_saved_for_later(broken: Path, tmp_path: Path) -> None:
    options = {"prefix_folder": str(tmp_path), "prefix_disk": 50_000_000, "prefix_memory": 50_000_000}
    backend = load(broken, prefix_least_s=0.0, **options)
    assert_told(alone(backend, TEXT, max_tokens=20, ignore_eos=True))
    backend.finish(10)
    assert not list(tmp_path.glob("*/*"))
    assert len(prompt(backend, TEXT)) < 20
