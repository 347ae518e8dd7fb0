"""The lists and questions: models, conversations, palette, themes, quitting."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from recording_engine import GUIDE, FakeEngine, said, worker
from screen_pilot import running, shown, type_text, until
from textual.widgets import Input

from engine.errors import CorruptModel, PortTaken
from engine.events import ModelsChanged, WorkerChanged
from engine.types import ApiState, WorkerState
from tui.screens.dialogs import Question
from tui.screens.picker import Choice, Picker, matching
from tui.widgets.prompt import Prompt


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def names(engine: FakeEngine) -> list[object]:
    return [call[0] for call in engine.calls]


async def test_a_model_is_chosen_by_a_part_of_its_name(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "● guide" in shown(app) and "4.33 GiB" in shown(app))
        await type_text(pilot, "cdr")
        await until(pilot, lambda: "● guide" not in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: ("load_model", "Qwen2.5-Coder-7B") in engine.calls)
        assert ("select_model", "Qwen2.5-Coder-7B") in engine.calls
        await until(pilot, lambda: shown(app).startswith(" Qwen2.5-Coder"))
        assert isinstance(app.focused, Prompt)


async def test_the_list_of_models_stays_true_while_it_is_open(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+o")
        engine.emit(WorkerChanged(info=worker(WorkerState.LOADING, progress=0.25)))
        await until(pilot, lambda: "loading 25%" in shown(app))
        engine.emit(ModelsChanged(models=(GUIDE, replace(GUIDE, id="newcomer"))))
        await until(pilot, lambda: "newcomer" in shown(app))


async def test_a_model_that_cannot_be_used_says_why_and_is_not_chosen(engine: FakeEngine) -> None:
    error = CorruptModel("The file is cut short.", remedy="Download it again.").info
    engine.models = (*engine.models, replace(GUIDE, id="broken", builtin=False, error=error))
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+o")
        await type_text(pilot, "broken")
        await until(pilot, lambda: "The file is cut short. Download it again." in shown(app))
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, Picker)
        assert "select_model" not in names(engine)


def test_the_best_match_comes_first() -> None:
    names = ["Unload the model", "Change the theme", "theme of the day", "Themselves", "atheme"]
    found = matching("theme", [Choice(id=name, name=name) for name in names])
    assert [choice.name for choice in found][:3] == ["theme of the day", "Change the theme", "atheme"]
    assert [choice.name for choice in matching("zq", found)] == []


async def test_nothing_found_is_said(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+o")
        await type_text(pilot, "zzz")
        await until(pilot, lambda: "No model of that name." in shown(app))
        await pilot.press("enter", "escape")
        await until(pilot, lambda: not isinstance(app.screen, Picker))


async def test_a_model_that_does_not_load_is_said(engine: FakeEngine) -> None:
    engine.refuse["load_model"] = CorruptModel("The file is damaged.", remedy="Download it again.")
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+o", "enter")
        await until(pilot, lambda: "The file is damaged." in shown(app))


async def test_conversations_are_renamed_and_deleted(engine: FakeEngine) -> None:
    engine.messages[1] = [said(1, "Old title")]
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l", "enter")
        await until(pilot, lambda: app.chat.thread is not None)
        await pilot.press("ctrl+p")
        await type_text(pilot, "rename")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.focused, Input) and app.focused.value == "Old title")
        await pilot.press("ctrl+u")
        await type_text(pilot, "New")
        await pilot.press("enter")
        await until(pilot, lambda: ("rename_conversation", 1, "New") in engine.calls)
        await pilot.press("ctrl+p")
        await type_text(pilot, "delete this")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, Question))
        assert "delete_conversation" not in names(engine), "keeping is the first answer"
        await pilot.press("ctrl+p")
        await type_text(pilot, "delete this")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("j", "enter")
        await until(pilot, lambda: ("delete_conversation", 1) in engine.calls)
        await until(pilot, lambda: app.chat.thread is None)


async def test_the_palette_turns_the_api_on_and_off(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        for state in ("API on", "API off"):
            await pilot.press("ctrl+p")
            await type_text(pilot, "api")
            await pilot.press("enter")
            await until(pilot, lambda state=state: state in shown(app).splitlines()[0])
        assert [call[:2] for call in engine.calls if call[0] == "set_api"] == [("set_api", True), ("set_api", False)]


async def test_a_taken_port_is_said(engine: FakeEngine) -> None:
    engine.refuse["set_api"] = PortTaken("Port 8080 is in use.", remedy="Choose another.")
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+p")
        await type_text(pilot, "api")
        await pilot.press("enter")
        await until(pilot, lambda: "Port 8080 is in use. Choose another." in shown(app))


async def test_themes_change(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+p")
        await type_text(pilot, "theme")
        await pilot.press("enter")
        await until(pilot, lambda: "footplate-light" in shown(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.theme == "footplate-light")


async def test_quitting_an_idle_host_asks_nothing(engine: FakeEngine) -> None:
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+q")
        await pilot.pause()
    assert app.return_code == 0
    assert names(engine)[-1] == "close"
    assert "stop_host" not in names(engine)


@pytest.mark.parametrize(("keys", "stopped"), [((), False), (("j",), True)])
async def test_quitting_a_busy_host_asks(engine: FakeEngine, keys: tuple[str, ...], stopped: bool) -> None:
    engine.status = replace(engine.status, api=ApiState(enabled=True, url="http://127.0.0.1:8080/v1"))
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: "The API is on at http://127.0.0.1:8080/v1." in shown(app))
        await pilot.press("ctrl+q", "escape")
        await until(pilot, lambda: not isinstance(app.screen, Question))
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press(*keys, "enter")
        await until(pilot, lambda: app.return_code == 0)
    assert (("stop_host", True) in engine.calls) is stopped


async def test_the_api_of_the_command_line_is_opened_once_attached(engine: FakeEngine) -> None:
    from screen_pilot import app_of

    app = app_of(engine, api=True, api_key="secret")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: ("set_api", True, "secret") in engine.calls)
        await until(pilot, lambda: "API on" in shown(app))
        assert "secret" not in shown(app)
