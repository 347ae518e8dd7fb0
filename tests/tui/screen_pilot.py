"""What the tests of the screen share: waiting for conditions, and looking at what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from recording_engine import FakeEngine
from textual.app import App
from textual.pilot import Pilot

from engine.settings import TuiSettings
from tui.app import FootplateApp

DEADLINE_S = 30.0
_TICK_S = 0.01


async def until(pilot: Pilot[int], condition: Callable[[], object], what: str = "") -> None:
    """Waits until `condition` holds, and what it caused is painted."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{what or 'The condition'} does not hold; the screen shows:\n{shown(pilot.app)}")
        await pilot.pause(_TICK_S)
    await pilot.pause()


def app_of(
    engine: FakeEngine,
    *,
    theme: str = "footplate",
    keymap: dict[str, str] | None = None,
    api: bool = False,
    api_key: str | None = None,
) -> FootplateApp:
    """The app over a stand-in; a high frame rate keeps the tests quick."""
    settings = TuiSettings(theme=theme, max_fps=120)
    return FootplateApp(lambda: engine, settings, keymap or {}, api=api, api_key=api_key)


@asynccontextmanager
async def running(
    engine: FakeEngine, size: tuple[int, int] = (80, 24), **options: object
) -> AsyncIterator[tuple[FootplateApp, Pilot[int]]]:
    """The app, attached."""
    app = app_of(engine, **options)  # type: ignore[arg-type]
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.view.connection != "connecting")
        yield app, pilot


def shown(app: App[int]) -> str:
    """The text on the screen, line by line."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.ljust(width)[:width].rstrip() for strip in strips[:height])


async def type_text(pilot: Pilot[int], text: str) -> None:
    """Presses the keys that write `text`."""
    await pilot.press(*("space" if letter == " " else letter for letter in text))
