"""The whole way from tokens to deltas, and the sampling that a request ends up with."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runtimes.scripted.vocabulary import ScriptedVocabulary
from engine.text.reasoning import ReasoningSplitter
from engine.text.sampling import GENERAL, merged
from engine.text.stream import TextStream
from engine.text.tool_calls.hermes import Hermes
from engine.types import Delta, Sampling
from engine.worker.coalesce import Coalescer

ANSWER = (
    "<think>\nWo ist Zürich? 🤔\n</think>\n\nI look.\n"
    '<tool_call>\n{"name": "f", "arguments": {"a": "END"}}\n</tool_call>\n'
    "Es ist schön. END and more"
)
VOCABULARY = ScriptedVocabulary()


def stream(stops: tuple[str, ...] = ()) -> TextStream:
    tools = Hermes().parser(lambda: "call_1")
    return TextStream(VOCABULARY.piece, reasoning=ReasoningSplitter(opened=False), tools=tools, stops=stops)


def joined(deltas: list[Delta]) -> list[Delta]:
    waiting = Coalescer()
    for delta in deltas:
        waiting.put(delta)
    taken = []
    while waiting:
        output = waiting.take()
        assert isinstance(output, Delta)
        taken.append(output)
    return taken


def run(steps: list[list[int]], stops: tuple[str, ...]) -> tuple[list[Delta], bool]:
    reader = stream(stops)
    deltas = [delta for step in steps for delta in reader.feed(step)]
    return joined(deltas + reader.close()), reader.stopped


def test_an_answer_comes_apart_into_reasoning_text_and_calls() -> None:
    first, second = run([VOCABULARY.encode(ANSWER, special=False)], ("END",))[0]
    assert (first.reasoning, first.text) == ("Wo ist Zürich? 🤔", "I look.")
    assert [(call.name, call.arguments) for call in first.tool_calls] == [("f", '{"a": "END"}')]
    assert (second.reasoning, second.text) == ("", "Es ist schön. ")


def test_a_stop_string_counts_in_the_text_alone() -> None:
    assert run([VOCABULARY.encode(ANSWER, special=False)], ("END",))[1]
    assert not run([VOCABULARY.encode(ANSWER.replace("END and", "and"), special=False)], ("END",))[1]
    assert not run([VOCABULARY.encode(ANSWER, special=False)], ("Wo ist",))[1]


@settings(deadline=None)
@given(cuts=st.sets(st.integers(1, 90)), stops=st.sampled_from([(), ("END",), ("schön. E", "look"), ("\n",)]))
def test_any_steps_give_the_same_answer(cuts: set[int], stops: tuple[str, ...]) -> None:
    tokens = VOCABULARY.encode(ANSWER, special=False)
    places = sorted({0, len(tokens), *(cut for cut in cuts if cut < len(tokens))})
    steps = [tokens[start:end] for start, end in itertools.pairwise(places)]
    assert run(steps, stops) == run([tokens], stops)


def test_sampling_is_the_requests_over_the_models_over_the_general() -> None:
    sampling = merged(Sampling(temperature=0.0, seed=7), Sampling(temperature=0.6, top_k=20), GENERAL)
    assert (sampling.temperature, sampling.seed, sampling.top_k, sampling.top_p) == (0.0, 7, 20, GENERAL.top_p)
    assert merged(GENERAL).seed is None
