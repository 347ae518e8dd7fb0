"""What the screens look like, to the last cell; `--snapshot-update` accepts a wanted change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace
from recording_engine import FakeEngine, finish, said
from screen_pilot import app_of, shown, until
from textual.pilot import Pilot

from engine.errors import WorkerDied
from engine.types import ApiState, ToolCall

Compare = Callable[..., bool]

ANSWER = """\
A **slot** is one sequence in the KV cache. With `slots = 2` two answers are written at once:

```python
def share(context: int, slots: int) -> int:
    return context // slots  # tokens for each
```

1. Each request takes a free slot.
2. A prefix that is cached is not computed again.

| Slots | Context of each |
|---|---|
| 1 | 16,384 |
| 2 | 8,192 |

See [the documentation](https://docs.example/slots).
"""


def talk() -> FakeEngine:
    call = ToolCall(id="c1", name="list_models", arguments="{}")
    engine = FakeEngine()
    engine.messages[1] = [
        said(1, "Which models are here?"),
        said(2, "", role="assistant", model="guide", reasoning="The user wants a list.", tool_calls=(call,)),
        said(3, "guide, Qwen2.5-Coder-7B", role="tool", tool_call_id="c1"),
        said(
            4, "Two: *guide* and *Qwen2.5-Coder-7B*.", role="assistant", model="guide", finish=finish(12), ttft_s=0.05
        ),
        said(5, "What is a slot?"),
        said(6, ANSWER, role="assistant", model="guide", finish=finish(143), ttft_s=0.21),
        said(7, "And a lane?"),
        said(
            8,
            "That word",
            role="assistant",
            model="guide",
            state="failed",
            error=WorkerDied(
                "The worker of guide ended.", meaning="The rest of the answer is lost.", remedy="Ask again."
            ).info,
        ),
    ]
    return engine


def pressing(*keys: str, until_shown: str) -> Callable[[Pilot[int]], Awaitable[None]]:
    """Waits for the app to be attached, presses the keys, waits for the text."""

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: pilot.app.view.connection == "attached")
        await until(pilot, lambda: pilot.app.chat.query("KeyBar").first().keys)
        if keys:
            await pilot.press(*keys)
        await until(pilot, lambda: until_shown in shown(pilot.app))

    return before


SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


@SIZES
def test_an_empty_chat(snap_compare: Compare, size: tuple[int, int]) -> None:
    before = pressing(until_shown="98 MiB")
    assert snap_compare(app_of(FakeEngine()), terminal_size=size, run_before=before)


@SIZES
@pytest.mark.parametrize("theme", ["footplate", "footplate-light"])
def test_a_conversation(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    before = pressing(until_shown="→ Ask again.")
    assert snap_compare(app_of(talk(), theme=theme), terminal_size=size, run_before=before)


@SIZES
def test_the_transcript_with_a_chosen_message(snap_compare: Compare, size: tuple[int, int]) -> None:
    before = pressing("escape", "g", "ctrl+t", until_shown="The user wants a list.")
    assert snap_compare(app_of(talk()), terminal_size=size, run_before=before)


@SIZES
def test_the_model_switcher(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(app_of(FakeEngine()), terminal_size=size, run_before=pressing("ctrl+o", until_shown="4.33 GiB"))


@SIZES
def test_the_palette(snap_compare: Compare, size: tuple[int, int]) -> None:
    before = pressing("ctrl+p", until_shown="Turn the API on or off")
    assert snap_compare(app_of(FakeEngine()), terminal_size=size, run_before=before)


@SIZES
def test_help(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(app_of(FakeEngine()), terminal_size=size, run_before=pressing("f1", until_shown="Everywhere"))


@SIZES
def test_the_question_before_quitting(snap_compare: Compare, size: tuple[int, int]) -> None:
    engine = FakeEngine()
    engine.status = replace(engine.status, api=ApiState(enabled=True, url="http://127.0.0.1:8080/v1"))
    before = pressing("ctrl+q", until_shown="Stop it and quit")
    assert snap_compare(app_of(engine), terminal_size=size, run_before=before)
