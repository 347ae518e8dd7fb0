"""Frames survive any cutting; what is no frame is said to be none. What waits is joined without a loss."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.types import (
    Delta,
    EmbedRequest,
    Finish,
    GenerateRequest,
    Message,
    Prefill,
    RerankRequest,
    ToolCallDelta,
    Usage,
)
from engine.worker.coalesce import Coalescer
from engine.worker.protocol import (
    Cancel,
    Command,
    Embed,
    FrameReader,
    Generate,
    Load,
    Produced,
    ProtocolError,
    Report,
    Rerank,
    Stop,
    encode,
)

COMMANDS: list[Command] = [
    Load(path="/models/ü.gguf", options={"context": 4096, "list": [1, "two", None]}),
    Generate(id=1, request=GenerateRequest(messages=(Message(role="user", content="grüß 👍"),), stop=("a",))),
    Embed(id=2, request=EmbedRequest(inputs=("text", (1, 2), ""), dimensions=3)),
    Rerank(id=3, request=RerankRequest(query="q", documents=("a", "b"))),
    Cancel(id=1),
    Stop(),
]


@settings(deadline=None)
@given(cuts=st.sets(st.integers(1, 200)))
def test_frames_cut_anywhere_come_out_whole(cuts: set[int]) -> None:
    data = b"".join(map(encode, COMMANDS))
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    reader: FrameReader[Command] = FrameReader(Command)
    found = [frame for start, end in itertools.pairwise(places) for frame in reader.feed(data[start:end])]
    assert found == COMMANDS


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x03abc",
        b"\x00\x00\x00\x00",
        encode(Produced(id=1, output=Delta(text="a report, not a command"))),
    ],
)
def test_what_is_no_frame_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(FrameReader(Command).feed(data))


@settings(deadline=None)
@given(data=st.binary(max_size=64))
def test_random_bytes_are_frames_or_a_protocol_error_and_nothing_else(data: bytes) -> None:
    try:
        for frame in FrameReader(Report).feed(data):
            assert frame
    except ProtocolError:
        return


def test_a_report_with_unknown_bytes_in_its_text_survives() -> None:
    text = os.fsdecode(b"caf\xe9").encode("utf-8", "replace").decode()
    frame = Produced(id=3, output=Delta(text=text))
    assert list(FrameReader(Report).feed(encode(frame))) == [frame]


piece = st.one_of(
    st.builds(Delta, text=st.sampled_from(["", "a", "b "]), tokens=st.integers(0, 2)),
    st.builds(Delta, reasoning=st.sampled_from(["", "r"])),
    st.builds(
        lambda index, text: Delta(tool_calls=(ToolCallDelta(index=index, arguments=text),)),
        st.integers(0, 1),
        st.sampled_from(["{", "}"]),
    ),
    st.builds(lambda done: Prefill(done=done, total=9), st.integers(0, 9)),
)


def letters(outputs: list[Delta | Prefill | Finish]) -> list[tuple[str, str]]:
    """Everything said, character by character, with what it is."""
    said = []
    for output in outputs:
        if isinstance(output, Delta):
            said += [("reasoning", char) for char in output.reasoning]
            said += [("text", char) for char in output.text]
            said += [(f"call {call.index}", char) for call in output.tool_calls for char in call.arguments]
    return said


@settings(deadline=None)
@given(outputs=st.lists(piece, max_size=20))
def test_joining_keeps_the_order_of_everything_said(outputs: list[Delta | Prefill | Finish]) -> None:
    waiting = Coalescer()
    finish = Finish(reason="stop", usage=Usage(prompt_tokens=1, completion_tokens=1))
    for output in [*outputs, finish]:
        waiting.put(output)
    taken = []
    while waiting:
        taken.append(waiting.take())
    assert taken[-1] == finish
    assert letters(taken) == letters(outputs)
    assert sum(out.tokens for out in taken if isinstance(out, Delta)) == sum(
        out.tokens for out in outputs if isinstance(out, Delta)
    )
    assert len(taken) <= len(outputs) + 1


def test_a_thousand_waiting_deltas_are_one() -> None:
    waiting = Coalescer()
    for _ in range(1000):
        waiting.put(Delta(text="x", tokens=1))
    assert waiting.take() == Delta(text="x" * 1000, tokens=1000)
    assert not waiting
