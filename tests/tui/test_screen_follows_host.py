"""The chat screen shows what the host says: events, snapshots, a host that is lost or another one."""

from __future__ import annotations

import pytest
from recording_engine import FakeEngine, said
from screen_pilot import app_of, running, shown, type_text, until

from engine.errors import HostUnreachable, VersionMismatch
from engine.events import HostStopping, MessageAdded, TurnDelta
from tui.widgets.prompt import Prompt


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


async def test_a_turn_begun_elsewhere_is_shown_here(engine: FakeEngine) -> None:
    engine.messages[1] = [said(1, "First"), said(2, "Answer one", role="assistant")]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: "Answer one" in shown(app))
        engine.add(1, said(3, "From another terminal"))
        engine.add(1, said(4, "", role="assistant", state="writing", model="guide"))
        engine.write(1, "Answer two")
        await until(pilot, lambda: "From another terminal" in shown(app) and "Answer two" in shown(app))


async def test_events_of_another_conversation_change_nothing(engine: FakeEngine) -> None:
    engine.messages[1] = [said(1, "Alpha")]
    engine.messages[2] = [said(2, "Beta")]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l")
        await type_text(pilot, "Alpha")
        await pilot.press("enter")
        await until(pilot, lambda: "You" in shown(app))
        engine.add(2, said(3, "Not for this screen"))
        engine.add(1, said(4, "For this screen"))
        await until(pilot, lambda: "For this screen" in shown(app))
        assert "Not for this" not in shown(app)


async def test_text_that_was_missed_is_read_again(engine: FakeEngine) -> None:
    engine.messages[1] = [said(1, "Q"), said(2, "", role="assistant", state="writing", model="guide")]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: "Waiting" in shown(app))
        before = len(engine.called("conversation"))
        engine.messages[1][1] = said(2, "one two", role="assistant", state="writing", model="guide")
        engine.emit(TurnDelta(conversation=1, message=2, offset=4, text="two"))
        await until(pilot, lambda: "one two" in shown(app))
        assert len(engine.called("conversation")) == before + 1


async def test_a_delta_seen_twice_adds_nothing(engine: FakeEngine) -> None:
    engine.messages[1] = [said(1, "Q"), said(2, "one ", role="assistant", state="writing", model="guide")]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: "one" in shown(app))
        delta = TurnDelta(conversation=1, message=2, offset=4, text="two")
        engine.emit(delta, delta, TurnDelta(conversation=1, message=2, offset=2, text="e two"))
        await until(pilot, lambda: "one two" in shown(app))
        assert "two" not in shown(app).replace("one two", "")


async def test_a_lost_host_is_said_plainly_and_can_be_started_again(engine: FakeEngine) -> None:
    engine.messages[1] = [said(1, "Q"), said(2, "A", role="assistant")]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: "You" in shown(app))
        engine.emit(HostUnreachable("The engine is gone.", remedy="Choose “Attach to the host again” in Ctrl+P."))
        await until(pilot, lambda: "The engine is gone." in shown(app))
        assert "✗ offline" in shown(app)
        assert "→ Choose" in shown(app)
        await pilot.press("ctrl+p")
        await type_text(pilot, "attach")
        await pilot.press("enter")
        await until(pilot, lambda: app.view.connection == "attached")
        await until(pilot, lambda: "The engine is gone." not in shown(app))
        assert engine.called("attach") == [(True,), (True,)]


async def test_a_host_that_stops_says_why_and_is_not_started_again(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        engine.emit(HostStopping(reason="`footplate stop` asked for it."), HostUnreachable("Gone."))
        await until(pilot, lambda: app.view.connection == "lost")
        assert "asked for it." in shown(app)
        assert engine.called("attach") == [(True,)]


async def test_another_version_is_refused_with_the_remedy(engine: FakeEngine) -> None:
    engine.refuse["attach"] = VersionMismatch("The engine is 0.2.", remedy="Run `footplate stop`.")
    async with running(engine) as (app, _pilot):
        assert "✗ The engine is 0.2." in shown(app)
        assert "→ Run `footplate stop`." in shown(app)


async def test_a_new_snapshot_reads_the_conversation_again(engine: FakeEngine) -> None:
    engine.messages[1] = [said(1, "Q")]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: "You" in shown(app))
        engine.messages[1].append(said(2, "Written meanwhile", role="assistant"))
        engine.emit(engine.snapshot())
        await until(pilot, lambda: "Written meanwhile" in shown(app))


async def test_the_conversation_used_last_is_open_at_the_start(engine: FakeEngine) -> None:
    engine.messages = {1: [said(1, "Older")], 2: [said(2, "Newer")]}
    async with running(engine) as (app, pilot):
        await until(pilot, lambda: "Newer" in shown(app))
        assert isinstance(app.focused, Prompt)


async def test_who_already_writes_is_not_moved_to_another_conversation(engine: FakeEngine) -> None:
    engine.messages = {1: [said(1, "Older")]}
    app = app_of(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.query_one(Prompt).text = "A new question"
        await until(pilot, lambda: app.view.connection == "attached")
        await pilot.pause()
        assert app.chat.thread is None


async def test_an_event_for_a_message_nobody_announced_is_no_trouble(engine: FakeEngine) -> None:
    engine.messages[1] = [said(1, "Q")]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: "You" in shown(app))
        engine.emit(MessageAdded(conversation=99, message=said(7, "other")))
        engine.emit(TurnDelta(conversation=99, message=7, offset=900, text="other"))
        engine.add(1, said(8, "mine"))
        await until(pilot, lambda: "mine" in shown(app))
