"""The chat screen over a recording engine: what is asked of it, and what is shown of what it says."""

from __future__ import annotations

import pytest
from recording_engine import FakeEngine, said, worker
from screen_pilot import running, shown, type_text, until

from engine.errors import Conflict, ErrorInfo
from engine.events import Notice, TurnPrefill, WorkerChanged
from engine.types import ToolCall, WorkerState
from tui.widgets.message import MessageView
from tui.widgets.prompt import Prompt
from tui.widgets.transcript import Transcript


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


async def test_a_question_is_sent_and_its_answer_streams_in(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        await type_text(pilot, "hello there")
        await pilot.press("enter")
        await until(pilot, lambda: "Waiting for guide" in shown(app))
        conversation = next(iter(engine.messages))
        assert engine.called("send_turn") == [("hello there", conversation)]
        assert app.chat.query_one(Prompt).text == ""
        engine.emit(
            TurnPrefill(conversation=conversation, message=engine.messages[conversation][-1].id, done=512, total=2048)
        )
        await until(pilot, lambda: "Reading the prompt ━━━───────── 512/2048 tokens" in shown(app))
        engine.write(conversation, "**Good** morning")
        await until(pilot, lambda: "Good morning" in shown(app))
        assert "guide is writing · 62 tok/s · Esc stops" in shown(app)
        engine.finish(conversation)
        await until(pilot, lambda: "guide · 62.0 tok/s · TTFT 0.21 s · 143 tokens" in shown(app))
        assert "**" not in shown(app)
        assert "1.3k/16k ctx" in shown(app)


async def test_escape_stops_the_answer_and_else_leads_to_the_transcript(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        await type_text(pilot, "go")
        await pilot.press("enter")
        await until(pilot, lambda: app.chat.writing)
        await pilot.press("escape")
        await until(pilot, lambda: "stopped" in shown(app))
        assert len(engine.called("stop_turn")) == 1
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.focused, Transcript))
        assert len(engine.called("stop_turn")) == 1
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.focused, Prompt))


@pytest.mark.parametrize("key", ["ctrl+j", "alt+enter"])
async def test_new_lines_do_not_send(engine: FakeEngine, key: str) -> None:
    async with running(engine) as (app, pilot):
        await pilot.press("a", key, "b")
        assert app.chat.query_one(Prompt).text == "a\nb"
        height = app.chat.query_one(Prompt).size.height
        assert height == 2
        await pilot.press("enter")
        await until(pilot, lambda: engine.called("send_turn"))
        assert engine.called("send_turn")[0][0] == "a\nb"


async def test_pasted_lines_stay_one_message_and_the_input_grows_to_a_limit(engine: FakeEngine) -> None:
    from textual.events import Paste

    async with running(engine) as (app, pilot):
        pasted = "\n".join(f"line {number}" for number in range(30))
        app.post_message(Paste(pasted))
        await until(pilot, lambda: app.chat.query_one(Prompt).text == pasted)
        assert engine.called("send_turn") == []
        assert app.chat.query_one(Prompt).size.height == 8
        assert app.chat.query_one(Prompt).region.bottom < app.size.height


async def test_drafts_stay_with_their_conversation(engine: FakeEngine) -> None:
    engine.messages[1] = [said(1, "Here")]
    async with running(engine) as (app, pilot):
        prompt = app.chat.query_one(Prompt)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: app.chat.thread is None)
        await type_text(pilot, "new")
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: app.chat.thread is not None and prompt.text == "")
        await type_text(pilot, "reply")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: prompt.text == "new")
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: prompt.text == "reply")


async def test_what_cannot_be_sent_comes_back_with_the_reason(engine: FakeEngine) -> None:
    engine.refuse["send_turn"] = Conflict(
        "An answer is being written.", meaning="One at a time.", remedy="Wait for it."
    )
    async with running(engine) as (app, pilot):
        await type_text(pilot, "too early")
        await pilot.press("enter")
        await until(pilot, lambda: "An answer is being written." in shown(app))
        assert "One at a time." in shown(app)
        assert "→ Wait for it." in shown(app)
        assert app.chat.query_one(Prompt).text == "too early"


async def test_a_failed_answer_says_what_it_means_and_what_to_do(engine: FakeEngine) -> None:
    error = ErrorInfo(
        code="worker_died", what="The worker died.", meaning="The answer is lost.", remedy="Send it again."
    )
    engine.messages[1] = [
        said(1, "Q"),
        said(2, "Half an ans", role="assistant", model="guide", state="failed", error=error),
    ]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: "✗ The worker died." in shown(app))
        assert "Half an ans" in shown(app)
        assert "The answer is lost." in shown(app)
        assert "→ Send it again." in shown(app)


async def test_tool_calls_are_lines_that_unfold(engine: FakeEngine) -> None:
    call = ToolCall(id="c1", name="list_models", arguments='{"all": true}')
    engine.messages[1] = [
        said(1, "Q"),
        said(2, "", role="assistant", model="guide", tool_calls=(call,), reasoning="Hm, let me look."),
    ]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: '◆ list_models {"all": true} …' in shown(app))
        assert "▸ Reasoning, 4 words" in shown(app)
        engine.add(1, said(3, "guide\nqwen", role="tool", tool_call_id="c1"))
        await until(pilot, lambda: '◆ list_models {"all": true} → guide qwen' in shown(app))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Hm, let me look." in shown(app))
        assert "guide\n" in shown(app).replace(" \n", "\n")
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Hm, let me look." not in shown(app))


async def test_messages_are_chosen_and_copied(engine: FakeEngine) -> None:
    engine.messages[1] = [said(1, "Question"), said(2, "**Answer**", role="assistant", model="guide")]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: "Answer" in shown(app))
        await pilot.press("escape", "y")
        await until(pilot, lambda: app.clipboard == "**Answer**")
        await pilot.press("k", "y")
        await until(pilot, lambda: app.clipboard == "Question")
        assert [view.message.id for view in app.chat.query(MessageView) if view.has_class("-chosen")] == [1]


async def test_loading_is_shown_where_one_waits(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        await type_text(pilot, "go")
        await pilot.press("enter")
        engine.emit(WorkerChanged(info=worker(WorkerState.LOADING, progress=0.5, stats=None, facts=None)))
        await until(pilot, lambda: "Loading guide ━━━━━━────── " in shown(app))
        assert "50%" in shown(app).splitlines()[0]


async def test_a_long_conversation_mounts_only_what_is_near(engine: FakeEngine) -> None:
    engine.messages[1] = [
        said(number, f"message {number}", role="assistant" if number % 2 else "user") for number in range(2000)
    ]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: "message 1999" in shown(app))
        assert len(app.chat.query(MessageView)) < 50
        await pilot.press("escape", "g")
        await until(pilot, lambda: "message 0" in shown(app).split("\n")[3])
        for _ in range(20):
            await pilot.press("j")
        await until(pilot, lambda: "message 20" in shown(app))
        assert len(app.chat.query(MessageView)) <= 64
        engine.add(1, said(5000, "the newest"))
        await pilot.press("G")
        await until(pilot, lambda: "the newest" in shown(app))
        assert len(app.chat.query(MessageView)) <= 64


async def test_scrolling_back_mounts_older_messages_and_keeps_the_place(engine: FakeEngine) -> None:
    engine.messages[1] = [said(number, f"message {number} end") for number in range(70)]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: "message 69 end" in shown(app))
        await pilot.press("escape")
        seen: set[int] = set()
        for _ in range(120):
            seen |= {int(line.split()[2]) for line in shown(app).splitlines() if "message" in line}
            if 0 in seen:
                break
            await pilot.press("pageup")
            await pilot.pause()
        assert seen == set(range(70))


async def test_a_reader_is_not_pulled_to_the_end(engine: FakeEngine) -> None:
    engine.messages[1] = [said(number, f"message {number} end") for number in range(30)]
    engine.messages[1].append(said(40, "", role="assistant", state="writing", model="guide"))
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: "Waiting" in shown(app))
        transcript = app.chat.query_one(Transcript)
        transcript.focus()
        await pilot.press("pageup")
        await pilot.pause()
        before = transcript.scroll_y
        engine.write(1, "some text\n\n" * 20)
        await until(pilot, lambda: app.chat.query(MessageView).last().virtual_region.height > 20)
        assert transcript.scroll_y == before


async def test_notices_do_not_take_the_keys(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        engine.emit(Notice(level="warning", text="[bold]Slow kernels[/bold]\x1b[31m"))
        await until(pilot, lambda: "[bold]Slow kernels[/bold][31m" in shown(app).replace("│", ""))
        await type_text(pilot, "still")
        assert app.chat.query_one(Prompt).text == "still"


async def test_questions_to_guide_are_asked_with_keys(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        await pilot.press("escape", "j", "enter")
        await until(pilot, lambda: engine.called("send_turn"))
        assert engine.called("send_turn")[0][0] == "How do I switch the model?"
        assert isinstance(app.focused, Prompt)
