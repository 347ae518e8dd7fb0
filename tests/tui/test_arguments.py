"""The front door as a user meets it: processes, exit codes, sentences; and what it imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tui.__main__ import HELP, _parser

FOOTPLATE = [sys.executable, "-P", "-m", "tui"]


def footplate(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FOOTPLATE, *arguments],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def imported_by(code: str) -> set[str]:
    """Names of all modules in a fresh interpreter after `code`."""
    code += "\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_help_fits_a_screen_and_names_every_option() -> None:
    done = footplate("--help")
    assert done.returncode == 0
    assert done.stdout == HELP
    assert len(HELP.splitlines()) <= 23
    assert max(map(len, HELP.splitlines())) <= 80
    for action in _parser()._actions:
        for option in [*action.option_strings, *(action.choices or ())]:
            assert option in HELP or option == "-h"


def test_the_version_is_said_without_a_screen_or_a_client() -> None:
    assert footplate("--version").stdout.startswith("footplate ")
    modules = imported_by("import sys, tui.__main__ as door\nsys.argv[1:] = ['--version']\ndoor.main()")
    assert not {"textual", "aiohttp", "rich", "platformdirs"} & modules


def test_the_screen_imports_no_runtime_no_client_and_no_markdown() -> None:
    modules = imported_by("import tui.__main__, tui.app, tui.keys")
    heavy = {"aiohttp", "llama_cpp", "numpy", "jinja2", "huggingface_hub", "markdown_it", "pygments"}
    assert not heavy & modules
    assert not {name for name in modules if name.startswith("engine.") and name.split(".")[1] not in NOUNS}


NOUNS = {"types", "errors", "events", "paths", "settings"}
"""What the screen may know of the engine before it is attached."""


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "needs a terminal"),
        (("--api",), "needs a terminal"),
        (("--port", "9"), "--port needs --serve"),
        (("--api-key", "k", "status"), "--api-key needs --serve"),
        (("--serve", "status"), "--serve stands alone"),
        (("bogus",), "bogus"),
        (("--port", "x", "--serve"), "--port"),
        (("--serv",), "--serv"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_code_2(home: Path, arguments: tuple[str, ...], part: str) -> None:
    done = footplate(*arguments)
    assert done.returncode == 2
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(home.iterdir()) == [], "nothing is created by a wrong call"


@pytest.mark.parametrize("arguments", [("status",), ("status", "--json"), ("stop",)])
def test_without_a_host_there_is_nothing_to_ask(home: Path, arguments: tuple[str, ...]) -> None:
    done = footplate(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("footplate: No host runs.")
    assert len(done.stderr.splitlines()) == 1
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(("file", "text", "part"), [
    ("config.toml", "[tui]\nthem = 3\n", "did you mean tui.theme"),
    ("keymap.toml", "[keys]\nquit = 3\n", "quit must be a key"),
])  # fmt: skip
def test_wrong_settings_are_named_before_the_screen_opens(home: Path, file: str, text: str, part: str) -> None:
    (home / "config").mkdir()
    (home / "config" / file).write_text(text)
    done = run_in_terminal()
    assert part in done
    assert str(home / "config" / file) in done.replace("\r\n", "")
    assert "\x1b[?1049h" not in done


def run_in_terminal() -> str:
    """Everything `footplate` prints on a terminal until it ends."""
    import pty

    reader, writer = pty.openpty()
    process = subprocess.Popen(FOOTPLATE, stdin=writer, stdout=writer, stderr=writer, close_fds=True)
    os.close(writer)
    output = b""
    try:
        while block := os.read(reader, 65536):
            output += block
    except OSError:
        pass  # the other side was closed: Linux says so with an error
    assert process.wait(30) == 2
    os.close(reader)
    return output.decode()


def test_a_served_host_is_found_described_and_stopped(home: Path) -> None:
    log = (home / "log").open("w+")
    serve = subprocess.Popen([*FOOTPLATE, "--serve", "--port", "0", "--api-key", "a-secret"], stdout=log, stderr=log)
    try:
        while (done := footplate("status", "--json")).returncode != 0:
            assert serve.poll() is None, (home / "log").read_text()
        status = json.loads(done.stdout)
        assert status["pid"] == serve.pid
        assert status["api"]["key_required"]
        cmdline = Path(f"/proc/{serve.pid}/cmdline")
        if cmdline.exists():
            assert b"a-secret" not in cmdline.read_bytes()
        told = footplate("status").stdout
        assert f"pid {serve.pid}, serving without a screen" in told
        assert "key required" in told
        second = footplate("--serve", "--port", "0")
        assert second.returncode == 3
        assert str(serve.pid) in second.stderr
        assert footplate("stop").stdout == "The host is stopped.\n"
        assert serve.wait(30) == 0
    finally:
        if serve.poll() is None:
            serve.kill()
        log.close()


def test_an_open_address_without_a_key_is_refused(home: Path) -> None:
    done = footplate("--serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode != 0
    assert "key" in done.stderr
    assert "Traceback" not in done.stderr
