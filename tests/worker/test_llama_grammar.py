"""Answers held to schemas and grammars, by llama.cpp and a model that would say anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from fixtures.llama_backend import Outcome, job, load, run
from fixtures.schemas import SCHEMAS
from fixtures.shape_model import write_model
from hypothesis import HealthCheck, example, given, settings
from msgspec.structs import replace

from engine.runtimes.llama_cpp.worker import LlamaBackend
from engine.text.grammar.schema import schema_grammar
from engine.types import Sampling

CONTEXT = 2048


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaBackend]:
    path = write_model(tmp_path_factory.mktemp("model") / "shape.gguf", context=CONTEXT, scale=0.2)
    backend = load(path, n_ctx=CONTEXT)
    yield backend
    backend._stepper.close()


def text(backend: LlamaBackend, outcome: Outcome) -> str:
    return b"".join(map(backend.vocabulary.piece, outcome.tokens)).decode()


def held(backend: LlamaBackend, grammar: str, *, seed: int = 1, **more: Any) -> Outcome:
    sampling = Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=seed, **more.pop("sampling", {}))
    asked = job(backend, "hm", max_tokens=500, sampling=sampling, grammar=grammar, **more)
    return run(backend, [asked])[1]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema=SCHEMAS)
@example(
    schema={
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "additionalProperties": True,
        "maxProperties": 3,
    }
)
@example(schema={"type": "number", "exclusiveMinimum": 0, "maximum": 1})
def test_what_is_answered_satisfies_the_schema(backend: LlamaBackend, schema: dict[str, Any]) -> None:
    grammar = schema_grammar(schema)
    for seed in range(2):
        outcome = held(backend, grammar, seed=seed)
        if outcome.finish == "length":
            continue
        value = json.loads(text(backend, outcome))
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(value)


@pytest.mark.parametrize(
    "wish",
    [
        {"mirostat": 1},
        {"mirostat": 2, "mirostat_tau": 1.0},
        {"typical_p": 0.2},
        {"xtc_probability": 1.0, "xtc_threshold": 0.01},
        {"dry_multiplier": 5.0, "dry_allowed_length": 1},
        {"repeat_penalty": 5.0, "repeat_last_n": -1},
        {"logit_bias": {5: -100.0, 6: 30.0}},
    ],
)
def test_every_sampler_has_a_say(backend: LlamaBackend, wish: dict[str, Any]) -> None:
    def tokens(sampling: Sampling) -> list[int]:
        return run(backend, [job(backend, "the hen " * 60, max_tokens=60, sampling=sampling)])[1].tokens

    plain = Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, seed=3)
    tokens(plain)  # so that all find the prompt cached, in the slot and the cells where it lies: the same sums
    assert tokens(plain) == tokens(plain) != tokens(replace(plain, **wish))
