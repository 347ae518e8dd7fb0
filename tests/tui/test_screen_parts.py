"""The parts of the screen that need no screen: state, thread, gauges, footnotes, windows, numbers, the feed."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from recording_engine import FakeEngine, finish, said, worker

from engine.errors import ErrorInfo, HostUnreachable
from engine.events import (
    ConversationDeleted,
    Event,
    HostStopping,
    MessageAdded,
    MessageFinished,
    Notice,
    TurnDelta,
    TurnPrefill,
    WorkerChanged,
)
from engine.types import ApiState, LoadedFacts, ToolCallDelta, WorkerInfo, WorkerState
from tui import text
from tui.clipboard import osc52
from tui.feed import pump
from tui.footnote import bar, error_text, footnote
from tui.messages import HostChanged, Resynchronised, TurnsMoved, translate
from tui.state import HostView, apply, lose, running
from tui.thread import Thread
from tui.widgets.header import gauges
from tui.window import BATCH, LIMIT, Window


def attached() -> HostView:
    engine = FakeEngine()
    engine.messages = {1: [said(1, "old")], 2: [said(2, "new")]}
    return apply(HostView(), engine.snapshot())


def with_worker(info: WorkerInfo) -> HostView:
    return apply(attached(), WorkerChanged(info=info))


def test_unknown_is_said_and_never_zero() -> None:
    empty = gauges(HostView(), None, None)
    assert (empty.model, empty.runtime, empty.tok_s, empty.context, empty.memory, empty.api) == (
        "n/a", "n/a", "n/a tok/s", "n/a/n/a ctx", "n/a mem", "API n/a",
    )  # fmt: skip
    assert empty.state == "○ starting"
    assert gauges(lose(HostView(), ErrorInfo(code="x", what="gone")), None, None).state == "✗ offline"


@pytest.mark.parametrize("state", list(WorkerState))
def test_every_state_of_a_worker_has_a_word_that_fits(state: WorkerState) -> None:
    view = with_worker(worker(state, progress=0.07))
    assert 0 < len(gauges(view, None, None).state) <= 10


@given(context=st.integers(0, 10**7), memory=st.integers(1, 10**13), rate=st.floats(0, 99_999))
def test_gauges_keep_their_width(context: int, memory: int, rate: float) -> None:
    info = worker(facts=LoadedFacts(context=context, slots=1, device="CPU", memory=memory), stats=None)
    shown = gauges(with_worker(info), said(3, "", role="assistant", finish=finish()), rate)
    assert len(shown.tok_s) <= 12
    assert len(shown.context) <= 14
    assert len(shown.memory) <= 8


def test_a_worker_that_is_gone_is_not_listed() -> None:
    assert with_worker(worker(WorkerState.GONE)).worker is None


def test_conversations_are_newest_first_and_go_when_deleted() -> None:
    view = attached()
    assert [summary.id for summary in view.conversations] == [2, 1]
    assert [summary.id for summary in apply(view, ConversationDeleted(conversation=2)).conversations] == [1]


def test_what_runs_is_said_before_quitting() -> None:
    engine = FakeEngine()
    assert not apply(HostView(), engine.snapshot()).busy
    engine.status = replace(engine.status, api=ApiState(enabled=True, url="http://127.0.0.1:8080/v1"), turns=1)
    view = apply(HostView(), engine.snapshot())
    assert view.busy
    assert running(view) == "An answer is being written. The API is on at http://127.0.0.1:8080/v1."


def test_a_host_that_stops_says_why() -> None:
    view = apply(attached(), HostStopping(reason="asked to."))
    assert view.connection == "lost"
    assert view.lost is not None
    assert view.lost.what == "The host has stopped: asked to."
    assert view.workers == ()


def test_a_snapshot_makes_earlier_deltas_void() -> None:
    delta = TurnDelta(conversation=1, message=1, offset=0, text="x")
    found = translate(HostView(), [delta, FakeEngine().snapshot(), delta, Notice(text="n"), delta])
    assert [type(message) for message in found[:2]] == [HostChanged, Resynchronised]
    (moved,) = [message for message in found if isinstance(message, TurnsMoved)]
    assert moved.events == (delta, delta)


@given(cuts=st.lists(st.integers(0, 30), max_size=8), again=st.booleans())
def test_text_comes_together_whatever_comes_twice(cuts: list[int], again: bool) -> None:
    whole = "abcdefghijklmnopqrstuvwxyz0123"
    thread = Thread(id=1, messages=[said(2, "", role="assistant", state="writing")])
    deltas = [
        TurnDelta(conversation=1, message=2, offset=a, text=whole[a:b], reasoning_offset=a, reasoning=whole[a:b])
        for a, b in pairwise(sorted({0, len(whole), *cuts}))
    ]
    for delta in deltas + (deltas if again else []):
        assert thread.apply(delta)
    assert thread.messages[0].message.content == whole
    assert thread.messages[0].message.reasoning == whole


def test_missed_text_is_noticed() -> None:
    thread = Thread(id=1, messages=[said(2, "ab", role="assistant", state="writing")])
    assert not thread.apply(TurnDelta(conversation=1, message=2, offset=3, text="d"))
    assert not thread.apply(TurnDelta(conversation=1, message=9, offset=0, text="d"))
    assert thread.messages[0].message.content == "ab"


def test_what_is_finished_stays_finished() -> None:
    done = said(2, "all", role="assistant", finish=finish())
    thread = Thread(id=1, messages=[said(2, "al", role="assistant", state="writing")])
    thread.apply(TurnPrefill(conversation=1, message=2, done=1, total=2))
    thread.apply(MessageFinished(conversation=1, message=done))
    assert thread.prefill == {}
    thread.apply(TurnDelta(conversation=1, message=2, offset=3, text="more"))
    thread.apply(MessageAdded(conversation=1, message=said(2, "", role="assistant", state="writing")))
    assert thread.messages == [done]


def test_tool_calls_come_in_parts() -> None:
    thread = Thread(id=1, messages=[said(2, "", role="assistant", state="writing")])
    for part in ('{"a"', ": 1}"):
        calls = (ToolCallDelta(index=0, id="c", name="f", arguments=part),)
        thread.apply(TurnDelta(conversation=1, message=2, offset=0, tool_calls=calls))
    (call,) = thread.messages[0].message.tool_calls
    assert (call.id, call.name, call.arguments) == ("c", "f", '{"a": 1}')


def test_footnotes() -> None:
    writing = said(2, "", role="assistant", state="writing", model="guide")
    assert footnote(writing) == "Waiting for guide · Esc stops"
    loading = worker(WorkerState.LOADING, progress=0.5)
    assert footnote(writing, worker=loading) == "Loading guide ━━━━━━──────  50% · Esc stops"
    prefill = TurnPrefill(conversation=1, message=2, done=3, total=4)
    assert footnote(writing, prefill=prefill) == "Reading the prompt ━━━━━━━━━─── 3/4 tokens · Esc stops"
    answer = said(2, "x", role="assistant", model="guide", finish=finish(143), ttft_s=0.21)
    assert footnote(answer) == "guide · 62.0 tok/s · TTFT 0.21 s · 143 tokens"
    one = replace(answer, finish=finish(1, "length"), ttft_s=None)
    assert footnote(one) == "guide · 1 token · cut off: the context is full or the limit is reached"
    assert footnote(replace(answer, state="stopped", finish=None)) == "guide · stopped"


def test_a_bar_stays_a_bar() -> None:
    assert [bar(share, 4) for share in (-1, 0, 0.5, 1, 7)] == ["────", "────", "━━──", "━━━━", "━━━━"]


def test_an_error_is_what_meaning_remedy() -> None:
    info = ErrorInfo(code="x", what="What.", meaning="Meaning.\x1b[2J", remedy="Remedy.")
    assert error_text(info) == "✗ What.\n  Meaning.[2J\n  → Remedy."
    assert error_text(ErrorInfo(code="x", what="What.")) == "✗ What."


@given(lengths=st.lists(st.integers(0, 20_000), max_size=300), moves=st.lists(st.booleans(), max_size=60))
def test_a_window_stays_within_the_conversation_and_the_limit(lengths: list[int], moves: list[bool]) -> None:
    window = Window.at_end(lengths)
    assert window.end == len(lengths)
    assert window.first == 0 or window.end - window.first >= 2
    for earlier in moves:
        before = window
        window = window.earlier() if earlier else window.later(len(lengths))
        assert 0 <= window.first <= window.end <= len(lengths)
        assert window.end - window.first <= max(LIMIT, BATCH)
        assert set(range(before.first, before.end)) & set(range(window.first, window.end)) or not lengths
    for at in range(0, len(lengths), 7):
        assert at in Window.around(at, len(lengths))


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (text.size(None), "n/a"), (text.size(0), "0 B"), (text.size(98 * 1024**2), "98 MiB"),
        (text.size(4431 * 1024**2), "4.33 GiB"), (text.size(1000), "0.98 KiB"), (text.count(None), "n/a"),
        (text.count(999), "999"), (text.count(1304), "1.3k"), (text.count(131072), "131k"),
        (text.count(2 * 10**6), "2.0M"), (text.rate(None), "n/a"), (text.rate(62.04), "62.0"),
        (text.rate(1345.2), "1345"), (text.live_rate(None), "n/a"), (text.live_rate(62.4), "62"),
        (text.seconds(0.05), "50 ms"), (text.seconds(0.21), "0.21 s"), (text.seconds(12.3), "12 s"),
        (text.seconds(125), "2 min 5 s"),
    ],
)  # fmt: skip
def test_numbers_are_readable(got: str, wanted: str) -> None:
    assert got == wanted


def test_copying_passes_through_tmux() -> None:
    plain = osc52("grüß", {})
    assert plain == f"\x1b]52;c;{base64.b64encode('grüß'.encode()).decode()}\a"
    inside = osc52("grüß", {"TMUX": "/tmp/x"})
    assert inside == plain + "\x1bPtmux;\x1b" + plain + "\x1b\\"


async def test_the_feed_gathers_a_burst_and_loses_nothing() -> None:
    events: list[Event] = [Notice(text=str(number)) for number in range(1000)]
    batches: list[list[Event]] = []

    async def source() -> AsyncIterator[Event]:
        for event in events:
            yield event
        raise HostUnreachable("Gone.")

    with pytest.raises(HostUnreachable):
        await pump(source(), batches.append, max_fps=15)
    assert [event for batch in batches for event in batch] == events
    assert len(batches) <= 2, "a burst is one repaint, not a thousand"
