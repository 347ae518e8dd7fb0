"""The screen on a real terminal over a real host: what survives when the screen does not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from command import Footplate
from fixtures.waiting import wait_until

STORY = " ".join(f"word{number}" for number in range(120)) + " the-end"
READY = "Ask Guide"


def test_guide_answers_on_the_first_start(footplate: Footplate) -> None:
    with footplate.screen(rows=40, columns=120) as screen:
        screen.wait_for("guide")
        screen.send("How do I switch the model?\r")
        screen.wait_for("Ctrl+O", "TTFT")
        footplate.leave(screen)


def test_a_killed_screen_leaves_the_answer_to_finish(footplate: Footplate) -> None:
    footplate.scripted("story", STORY, rate=60)
    footplate.configure('[models]\ndefault = "story"\n')
    with footplate.screen(rows=40, columns=120) as screen:
        screen.wait_for("story")
        screen.send("Tell me.\r")
        screen.wait_for("word3")
        host = footplate.host()
        screen.process.send_signal(signal.SIGKILL)
        screen.process.wait()
    with footplate.screen(rows=40, columns=120) as screen:
        screen.wait_for("word119", "the-end", seconds=60)
        assert footplate.host().pid == host.pid
        screen.process.send_signal(signal.SIGKILL)
        screen.process.wait()
    wait_until(lambda: not host.is_running(), "the host ends when idle")


def test_a_hang_up_is_no_different(footplate: Footplate) -> None:
    footplate.scripted("story", STORY, rate=60)
    footplate.configure('[models]\ndefault = "story"\n')
    with footplate.screen(rows=40, columns=120) as screen:
        screen.wait_for("story")
        screen.send("Tell me.\r")
        screen.wait_for("word3")
        screen.hang_up()
        screen.process.wait(timeout=20)
    with footplate.screen(rows=40, columns=120) as screen:
        screen.wait_for("word119", "the-end", seconds=60)


def test_a_second_terminal_shows_the_same(footplate: Footplate) -> None:
    footplate.scripted("story", STORY, rate=60)
    footplate.configure('[models]\ndefault = "story"\n')
    with footplate.screen(rows=40, columns=120) as first:
        first.wait_for("story")
        first.send("Tell me.\r")
        first.wait_for("word3")
        with footplate.screen(rows=40, columns=120) as second:
            second.wait_for("Tell me.", "the-end", seconds=60)
            first.wait_for("the-end")


def test_quitting_an_idle_screen_ends_the_host(footplate: Footplate) -> None:
    with footplate.screen() as screen:
        screen.wait_for("guide")
        host = footplate.host()
        footplate.leave(screen)
    wait_until(lambda: not host.is_running(), "the host ends with its screen")


def test_everything_stays_in_the_home(footplate: Footplate, tmp_path: Path) -> None:
    outside = tmp_path / "home"
    outside.mkdir()
    names = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
    with footplate.screen(rows=40, columns=120, **{name: str(outside) for name in names}) as screen:
        screen.wait_for("guide")
        screen.send("What is a token?\r")
        screen.wait_for("TTFT")
        footplate.leave(screen)
    assert [os.path.relpath(path, outside) for path in outside.rglob("*")] == []


def test_nothing_is_sent_anywhere(footplate: Footplate, tmp_path: Path) -> None:
    """Every Python process of the app reports the addresses it connects to: none but the host's own socket."""
    log = tmp_path / "connections"
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "def watch(event, arguments):\n"
        "    if event == 'socket.connect' and isinstance(arguments[1], tuple):\n"
        f"        open({str(log)!r}, 'a').write(repr(arguments[1]) + '\\n')\n"
        "    if event == 'socket.getaddrinfo':\n"
        f"        open({str(log)!r}, 'a').write(repr(arguments[:2]) + '\\n')\n"
        f"open({str(tmp_path / 'watched')!r}, 'a').write(' '.join(sys.orig_argv) + '\\n')\n"
        "sys.addaudithook(watch)\n"
    )
    with footplate.screen(rows=40, columns=120, PYTHONPATH=str(tmp_path)) as screen:
        screen.wait_for("guide")
        screen.send("What is a token?\r")
        screen.wait_for("TTFT")
        footplate.leave(screen)
    watched = (tmp_path / "watched").read_text()
    assert "engine.host" in watched
    assert "engine.runtimes.llama_cpp.worker" in watched
    assert not log.exists(), log.read_text()


def test_a_model_can_be_named_at_the_start(footplate: Footplate) -> None:
    footplate.scripted("story", STORY, rate=0)
    with footplate.screen("--model", "story") as screen:
        screen.wait_for("story")
        footplate.leave(screen)
    with footplate.screen("--model", "no-such-model") as screen:
        screen.wait_for("There is no model 'no-such-model'.")
        footplate.leave(screen)
