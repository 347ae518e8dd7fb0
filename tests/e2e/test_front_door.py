"""The command: what it prints and with which code it ends, without a screen."""

from __future__ import annotations

import importlib.metadata
import json
import socket
from pathlib import Path

import pytest
from command import Footplate


def test_version(footplate: Footplate) -> None:
    done = footplate.run("--version")
    assert done.returncode == 0
    assert importlib.metadata.version("footplate") in done.stdout


def test_status_without_a_host(footplate: Footplate) -> None:
    done = footplate.run("status")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_an_open_address_wants_a_key(footplate: Footplate) -> None:
    done = footplate.run("--serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "key" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_named(footplate: Footplate) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = footplate.run("--serve", "--port", str(port))
    assert done.returncode == 5
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "named"),
    [("[api]\nprot = 1\n", "prot"), ("[api]\nport = 'x'\n", "api.port"), ("[api\n", "config.toml")],
    ids=["unknown key", "wrong type", "not TOML"],
)
def test_a_typo_in_the_settings_is_named(footplate: Footplate, text: str, named: str) -> None:
    footplate.configure(text)
    done = footplate.run("--serve", "--port", "0")
    assert done.returncode == 2
    assert named in done.stderr
    assert "config.toml" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_made(footplate: Footplate, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = footplate.run("--serve", "--port", "0", FOOTPLATE_HOME=str(tmp_path / "file"))
    assert done.returncode == 1
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_model_names_what_exists(footplate: Footplate) -> None:
    done = footplate.run("--serve", "--port", "0", "--model", "nothing-of-that-name")
    assert done.returncode == 1
    assert "nothing-of-that-name" in done.stderr
    assert "guide" in done.stderr


def test_no_terminal_is_said_in_words(footplate: Footplate) -> None:
    done = footplate.run()
    assert done.returncode != 0
    assert "terminal" in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_finds_nothing_wrong_here(footplate: Footplate) -> None:
    done = footplate.run("doctor", "--json")
    found = {finding["check"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 0, found
    assert found["llama.cpp"]["health"] != "problem"
    assert str(footplate.home) in found["folders"]["what"]


def test_doctor_names_a_broken_settings_file(footplate: Footplate) -> None:
    footplate.configure("[api]\nport = 'x'\n")
    done = footplate.run("doctor")
    assert done.returncode == 1
    assert "api.port" in done.stdout


def test_serving_says_where_and_ends_on_ctrl_c(footplate: Footplate) -> None:
    with footplate.screen("--serve", "--port", "0", columns=120) as screen:
        screen.wait_for("http://127.0.0.1:", "/v1", "no key", "guide", "Ctrl+C")
        screen.send("\x03")
        assert screen.wait_exit() == 0
