"""Keys as a plain terminal sends them, through the real terminal driver."""

from __future__ import annotations

import pytest
from command import Footplate


@pytest.mark.parametrize("keys", ["\n", "\x1b\r", "\x1b[13;3u"], ids=["Ctrl+J", "Alt+Enter", "Alt+Enter (kitty)"])
def test_a_new_line_does_not_send(footplate: Footplate, keys: str) -> None:
    with footplate.screen() as screen:
        screen.wait_for("❯ Ask something")
        screen.send("first" + keys + "second")
        screen.wait_for("❯ first", "   second")
        assert "You" not in screen.text
        footplate.leave(screen)


def test_a_paste_is_one_message_even_before_the_host_runs(footplate: Footplate) -> None:
    footplate.scripted("echo", "Three lines came.", rate=0)
    footplate.configure('[models]\ndefault = "echo"\n')
    with footplate.screen() as screen:
        screen.wait_for("❯ Ask something")
        screen.send("\x1b[200~one\rtwo\rthree\x1b[201~")
        screen.wait_for("❯ one", "   three")
        screen.send("\r")
        screen.wait_for("Three lines came.", "TTFT")
        assert screen.text.count("You") == 1
        footplate.leave(screen)


def test_colours_can_be_turned_off(footplate: Footplate) -> None:
    with footplate.screen(NO_COLOR="1") as screen:
        screen.wait_for("guide", "idle")
        coloured = {cell.fg for row in screen._screen.buffer.values() for cell in row.values()}
        assert all(colour == "default" or len({colour[0:2], colour[2:4], colour[4:6]}) == 1 for colour in coloured)
        footplate.leave(screen)
