"""Grammars that never end, and grammars that explode: the first end at the bound, the others are refused at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from fixtures.llama_backend import alone, load
from fixtures.schemas import SCHEMAS
from fixtures.shape_model import write_model
from hypothesis import given, settings

from engine.errors import BadInput
from engine.runtimes.llama_cpp.grammar_cost import check_cost
from engine.runtimes.llama_cpp.grammar_rules import TERMINAL, read_rules
from engine.runtimes.llama_cpp.worker import LlamaBackend
from engine.text.grammar.schema import schema_grammar


def doubling(levels: int, body: str) -> str:
    """Rules that each have the next one twice."""
    rules = [f"r{level} ::= {body.replace('X', f'r{level + 1}')}" for level in range(levels)]
    return "\n".join([*rules, f'r{levels} ::= "a"', "root ::= r0"])


EXPLODING = {
    "optional after optional": "root ::= " + '"a"? ' * 3000 + '"b"',
    "the same far into a rule": 'root ::= "x" [y-z] "uvw" ' + '"a"? ' * 300,
    "an optional part many times": 'root ::= ("a"?){0,1000} "b"',
    "alternatives that are the same": doubling(40, "X | X"),
    "optional parts of optional parts": doubling(40, "X? X?"),
    "thirty thousand alternatives": "root ::= " + " | ".join(f'"w{number}"' for number in range(30_000)),
    "a chain of rules": doubling(30_000, "X"),
    "brackets": "root ::= " + "(" * 5000 + '"a"' + ")" * 5000,
    "left recursion": 'root ::= root "a" | "b"',
    "left recursion by a way round": 'root ::= x "a"\nx ::= "c"? y\ny ::= root | "b"',
    "a repetition that counts backwards": 'root ::= "a"{5,2}',
    "a repetition for ever": 'root ::= "a"{99999999999}',
    "a million": 'root ::= "a"{1000000}',
}
ENDLESS = {
    "right recursion": 'root ::= "a" root',
    "no end": 'root ::= [a-z] b\nb ::= "b" b',
    "nested repetitions": 'root ::= ((([a-z]+)*)+ " ")+ "."',
    "a star of stars": 'root ::= ((("ab"*)*)*)* "zz" root',
    "recursion on both sides": 'root ::= "(" root ")" root',
}
USUAL = {
    "ten thousand alternatives": "root ::= " + " | ".join(f'"w{number}"' for number in range(10_000)),
    "a long count": 'root ::= "a"{3,1900} "b"',
    "optional parts that begin differently": "root ::= " + " ".join(f'("{chr(97 + n)}" [0-9]+)?' for n in range(26)),
    "numbers": 'root ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?',
    "JSON": r"""
        root ::= value  # a comment with "quotes" and ( brackets
        value ::= (object | array | string | number | "true" | "false" | "null") ws
        object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}"
        array ::= "[" ws (value ("," ws value)*)? "]"
        string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\""
        number ::= "-"? ([0-9] | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})?
        ws ::= | " " | "\n" [ \t]{0,20}
    """,
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaBackend]:
    backend = load(write_model(tmp_path_factory.mktemp("model") / "shape.gguf"))
    yield backend
    backend._stepper.close()


@pytest.mark.parametrize("grammar", EXPLODING.values(), ids=EXPLODING)
def test_an_exploding_grammar_is_refused_in_time_and_the_next_request_works(
    backend: LlamaBackend, grammar: str
) -> None:
    begun = time.process_time()
    with pytest.raises(BadInput) as caught:
        alone(backend, "hm", grammar=grammar)
    assert time.process_time() - begun < 5
    assert (caught.value.status, caught.value.info.param) == (400, "grammar")
    assert not backend.busy
    assert alone(backend, "hm").tokens


@pytest.mark.parametrize("grammar", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_grammar_ends_at_the_bound(backend: LlamaBackend, grammar: str) -> None:
    outcome = alone(backend, "hm", grammar=grammar, max_tokens=40)
    assert (outcome.finish, len(outcome.tokens)) == ("length", 40)
    room = 512 - 3
    assert len(alone(backend, "hm", grammar=ENDLESS["right recursion"], max_tokens=room).tokens) == room


@pytest.mark.parametrize("grammar", USUAL.values(), ids=USUAL)
def test_usual_grammars_pass_and_are_followed_in_time(backend: LlamaBackend, grammar: str) -> None:
    begun = time.process_time()
    outcome = alone(backend, "hm", grammar=grammar, max_tokens=20)
    assert outcome.error is None
    assert time.process_time() - begun < 10


@settings(deadline=None)
@given(schema=SCHEMAS)
def test_the_grammars_of_schemas_pass(schema: dict[str, object]) -> None:
    check_cost(schema_grammar(schema))


def test_a_schema_with_many_optional_properties_passes() -> None:
    properties = {f"field{number}": {"type": ["string", "number", "null"]} for number in range(60)}
    inner = {"type": "object", "properties": properties}
    check_cost(schema_grammar({"type": "object", "properties": {"a": inner, "b": {"type": "array", "items": inner}}}))


def test_rules_are_read_as_they_are_meant() -> None:
    rules = read_rules('root ::= "a\\"b" x? # x ::= "no"\n  | ""\nx ::= [^\\]"(]{1,2}')
    assert rules is not None
    root, x = rules[0], rules[1]
    assert root[0][:2] == [TERMINAL, TERMINAL]
    assert root[1] == []
    (optional,) = root[0][2:]
    assert [[], [rules.index([[1]])]] == rules[optional]
    assert len(x[0]) == 2


@pytest.mark.parametrize("text", ["root ::= )", "root ::= $", '"a" ::= b', "x", 'root ::= "a'])
def test_what_cannot_be_read_is_left_to_llama_cpp(backend: LlamaBackend, text: str) -> None:
    assert read_rules(text) is None
    with pytest.raises(BadInput, match="cannot be read"):
        alone(backend, "hm", grammar=text)
