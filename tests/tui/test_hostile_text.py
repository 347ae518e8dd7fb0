"""What models, tools and files print is text: nothing of it acts on the terminal or on the screen."""

from __future__ import annotations

import re

import pytest
from recording_engine import FakeEngine, finish, said
from screen_pilot import running, shown, until
from textual.pilot import Pilot

from engine.types import ChatMessage, ToolCall
from tui.app import FootplateApp
from tui.text import clean, one_line
from tui.widgets.message import MessageView

ESCAPES = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]52;c;cHduZWQ=\x07 \x9b2J \x7f\x08\x08 \x1bP+q\x1b\\ "
    "\u202egnp.exe\u202c\u2066x"
)
MARKUP = "[bold red]x[/] [/nothing] [@click=app.exit]quit[/] $accent [link=https://e.example]l[/link]"
HOSTILE = [
    ESCAPES,
    MARKUP,
    "# Heading " + ESCAPES + MARKUP,
    f"```{MARKUP}\n{ESCAPES}{MARKUP}\n```",
    f"| {MARKUP} | b |\n|---|---|\n| {ESCAPES} | [/x] |\n| only one |",
    '[text](javascript:alert) ![img](file:///etc/passwd) <https://a.example> [a](b "[/]")',
    "<script>alert(1)</script>\n\n<div>\nblock\n</div>\n\n<!-- hidden -->",
    "- \n- - -\n  - [ ] x\n1. \n999999999999. y\n",
    "> " * 60 + "deep",
    "line one\u2028line two\u2029line three\x85four\x0bfive\x0csix",
    "مرحبا بالعالم שלום עולם 👩‍👩‍👧‍👦 e\u0301 \u200b",
    "~~~\nnever closed",
    "***_**__`~~`` [][][ ]()",
    "|" * 200 + "\n" + "|-" * 100 + "|",
]


def terminal_bytes_are_safe(text: str) -> bool:
    return not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]", text)


def test_cleaning_leaves_newlines_tabs_and_letters() -> None:
    assert clean("a\tb\nc é 漢 👩‍👧") == "a\tb\nc é 漢 👩‍👧"
    assert clean(ESCAPES) == "[31mred[0m ]0;title ]52;c;cHduZWQ= 2J  P+q\\ gnp.exex"
    assert terminal_bytes_are_safe(clean("".join(map(chr, range(0x3000)))))


def test_cleaning_pieces_is_cleaning_the_whole() -> None:
    whole = "".join(HOSTILE)
    for size in (1, 2, 7):
        assert "".join(clean(whole[at : at + size]) for at in range(0, len(whole), size)) == clean(whole)


def test_one_line_is_one_line() -> None:
    assert one_line("a\nb\r\n\tc\x1b[2J", 40) == "a b c[2J"
    assert one_line("x" * 300, 10) == "xxxxxxxxx…"


def conversation_of(text: str, first: int) -> list[ChatMessage]:
    """The text everywhere where text from outside can stand; `first` is the first id."""
    call = ToolCall(id=f"c{first}", name=text, arguments=text)
    return [
        said(first, text),
        said(first + 1, text, role="assistant", model=text, reasoning=text, tool_calls=(call,)),
        said(first + 2, text, role="tool", tool_call_id=call.id),
        said(first + 3, text, role="assistant", model=text, finish=finish()),
    ]


async def test_hostile_text_is_shown_and_does_nothing() -> None:
    engine = FakeEngine()
    for number, text in enumerate(HOSTILE, start=1):
        engine.titles[number] = text
        engine.messages[number] = conversation_of(text, number * 10)
    async with running(engine) as (app, pilot):
        await pilot.press("ctrl+l")
        await pilot.pause()
        assert terminal_bytes_are_safe(shown(app).replace("\n", ""))
        await pilot.press("escape")
        for number in engine.messages:
            app.chat.open(number)
            await until(pilot, lambda number=number: shown_ids(app) == [number] * 3)
            for _ in range(2):
                assert terminal_bytes_are_safe(shown(app).replace("\n", ""))
                await pilot.press("ctrl+t")
                await pilot.pause()


@pytest.mark.parametrize("piece", [1, 13])
async def test_streamed_text_ends_up_as_the_same_text_shown_at_once(piece: int) -> None:
    engine = FakeEngine()
    async with running(engine, size=(80, 40)) as (app, pilot):
        for number, text in enumerate(HOSTILE, start=1):
            writing = said(number * 10 + 1, "", role="assistant", state="writing", model="guide")
            engine.messages[number] = [said(number * 10, "Q"), writing]
            await open_conversation(app, pilot, number)
            engine.write(number, text, piece=piece)
            engine.finish(number)
            await until(pilot, lambda: not app.chat.writing and "tokens" in shown(app))
            streamed = shown(app)
            await open_conversation(app, pilot, None)
            await open_conversation(app, pilot, number)
            await until(pilot, lambda: "tokens" in shown(app))
            assert streamed == shown(app)


def shown_ids(app: FootplateApp) -> list[int]:
    return [view.message.id // 10 for view in app.chat.query(MessageView)]


async def open_conversation(app: FootplateApp, pilot: Pilot[int], number: int | None) -> None:
    app.chat.open(number)
    await until(pilot, lambda: (app.chat.thread.id if app.chat.thread else None) == number)
