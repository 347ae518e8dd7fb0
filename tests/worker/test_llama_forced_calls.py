"""Calls that have to be made, in every syntax, by llama.cpp and a model that would say anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import jsonschema_rs
import pytest
from fixtures.llama_backend import Outcome, job, load, run
from fixtures.shape_model import SPECIAL, write_model

from engine.runtimes.llama_cpp._grammar import Grammar
from engine.runtimes.llama_cpp.worker import LlamaBackend
from engine.text.markers import visible
from engine.text.stream import TextStream
from engine.text.tool_calls import ToolCallSyntax, syntaxes
from engine.text.tool_calls.forcing import forced_calls
from engine.text.tool_calls.hermes import CLOSE, OPEN, Hermes
from engine.types import AnswerFormat, GenerateRequest, Message, Sampling, ToolChoice, ToolDefinition
from engine.worker.loop.prepare import Preparer

CONTEXT = 2048
PAINT = ToolDefinition(
    name="paint",
    strict=True,
    parameters={
        "type": "object",
        "properties": {
            "colour": {"enum": ["red", "green"]},
            "size": {"type": "integer", "minimum": 1, "maximum": 40},
            "note": {"type": "string", "maxLength": 4},
            "flags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
        },
        "required": ["colour", "size", "note", "flags"],
    },
)
STOP = ToolDefinition(name="stop", parameters={"type": "object", "properties": {}, "additionalProperties": False})
TOOLS = (PAINT, STOP)
WORDS = tuple(dict.fromkeys(word for syntax in syntaxes() for word in syntax.markers if word not in SPECIAL))


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaBackend]:
    """Every word of every syntax is a control token."""
    path = tmp_path_factory.mktemp("model") / "shape.gguf"
    backend = load(write_model(path, context=CONTEXT, scale=0.2, control=WORDS), n_ctx=CONTEXT)
    yield backend
    backend._stepper.close()


def control(backend: LlamaBackend, syntax: ToolCallSyntax) -> dict[str, int]:
    """The words of the syntax that are control tokens, with their ids."""
    return {word.decode(): token for token, word in visible(backend.vocabulary, syntax.markers).items()}


def forced(backend: LlamaBackend, syntax: ToolCallSyntax, name: str | None, *, seed: int, several: bool) -> Outcome:
    tokens = control(backend, syntax)
    grammar = forced_calls(syntax, TOOLS, name, several=several, tokens=tokens)
    sampling = Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=seed)
    return run(backend, [job(backend, "hm", max_tokens=600, sampling=sampling, grammar=grammar)])[1]


def calls(backend: LlamaBackend, syntax: ToolCallSyntax, name: str | None, steps: list[list[int]]) -> list[list[str]]:
    """Names and arguments of the calls in an answer that came in these steps; it has nothing else."""
    words = visible(backend.vocabulary, syntax.markers)
    count = iter(range(99))
    parser = syntax.parser(lambda: f"call_{next(count)}", TOOLS)
    stream = TextStream(backend.vocabulary.piece, tools=parser, visible=words)
    deltas = stream.prime(syntax.opening(name))
    for step in steps:
        deltas += stream.feed(step)
    deltas += stream.close()
    assert not any(delta.text or delta.reasoning for delta in deltas), deltas
    made: dict[int, list[str]] = {}
    for piece in (piece for delta in deltas for piece in delta.tool_calls):
        made.setdefault(piece.index, [piece.name or "", ""])[1] += piece.arguments
    return list(made.values())


@pytest.mark.parametrize("syntax", syntaxes(), ids=lambda syntax: str(syntax.name))
def test_forced_calls_are_calls_of_their_schemas(backend: LlamaBackend, syntax: ToolCallSyntax) -> None:
    complete = 0
    for seed, (name, several) in enumerate([("paint", True), (None, False), (None, True), (None, True)]):
        outcome = forced(backend, syntax, name, seed=seed, several=several)
        assert outcome.error is None
        if outcome.finish == "length":
            continue
        complete += 1
        tokens = outcome.tokens
        found = calls(backend, syntax, name, [tokens])
        assert found == calls(backend, syntax, name, [[token] for token in tokens])
        cuts = [0, *range(1, len(tokens), 7), len(tokens)]
        assert found == calls(backend, syntax, name, [tokens[start:end] for start, end in pairwise(cuts)])
        assert found
        assert several or len(found) == 1
        for called, arguments in found:
            schema = PAINT.parameters if called == "paint" else STOP.parameters
            assert jsonschema_rs.Draft202012Validator(schema).is_valid(json.loads(arguments)), arguments
    assert complete >= 2


@pytest.mark.parametrize(
    "taught", ["[TOOL_CALLS][ARGS]", ">>>all", "<|channel|><|message|>", "<function=<parameter=<tool_call>"]
)
def test_a_request_that_wants_a_call_gets_one(tmp_path: Path, taught: str) -> None:
    template = "{{ tools | tojson }}{{ messages[0].content }}{# " + taught + " #}<think>"
    path = write_model(tmp_path / "shape.gguf", context=CONTEXT, scale=0.2, control=WORDS, template=template)
    backend = LlamaBackend()
    facts = backend.load(str(path), {"n_ctx": CONTEXT, "n_seq": 1, "threads": 1}, lambda _fraction, _stage: None)
    preparer = Preparer(backend, facts)
    wild = Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=1)
    made = []
    for form in (AnswerFormat(), AnswerFormat(kind="json")):
        request = GenerateRequest(
            messages=(Message(role="user", content="hm"),),
            tools=TOOLS,
            tool_choice=ToolChoice(mode="required"),
            parallel_tool_calls=False,
            sampling=wild,
            format=form,
            max_tokens=400,
        )
        (prepared,) = preparer.prepare(request).answers
        deltas = [*prepared.begun, *prepared.stream.feed(run(backend, [prepared.job])[prepared.job.id].tokens)]
        deltas += prepared.stream.close()
        assert not any(delta.text or delta.reasoning for delta in deltas)
        made.append([piece for delta in deltas for piece in delta.tool_calls if piece.name])
    backend._stepper.close()
    assert [len(calls) for calls in made] == [1, 1]


def test_a_control_token_comes_where_the_grammar_names_it_and_never_as_text(backend: LlamaBackend) -> None:
    words = control(backend, Hermes())
    other, end = words[OPEN], words[CLOSE]
    grammar = Grammar(backend._stepper._model, f'root ::= "\\"" [^"]* "\\"" <[{end}]> | <[{other}]>')
    assert grammar.allows(other)
    assert not grammar.allows(end)
    (quote,) = backend.vocabulary.encode('"', special=False)[1:]
    grammar.accept(quote)
    assert not grammar.allows(end) and not grammar.allows(other)
    grammar.accept(quote)
    assert grammar.allows(end) and not grammar.complete
    grammar.accept(end)
    assert grammar.complete
