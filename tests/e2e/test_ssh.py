"""A real SSH connection that drops under the screen."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import COMMAND, Footplate
from fixtures.waiting import wait_until
from terminal import Terminal

STORY = " ".join(f"word{number}" for number in range(120)) + " the-end"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("sshd") is None, reason="sshd is not installed")]


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[list[str]]:
    """An sshd of our own on loopback; the command by which one reaches it."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "authorized").write_text((tmp_path / "user.pub").read_text())
    config = tmp_path / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path / 'host'}\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {tmp_path / 'authorized'}\nStrictModes no\nPermitRootLogin yes\nPrintMotd no\n"
        "AcceptEnv FOOTPLATE_HOME LANG\n"
    )
    sshd = shutil.which("sshd") or "sshd"
    Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
    wait_until(lambda: _listens(port), "sshd listens")
    options = ("StrictHostKeyChecking=no", f"UserKnownHostsFile={tmp_path / 'known'}", "SendEnv=FOOTPLATE_HOME LANG")
    yield [
        "ssh", "-tt", "-q", "-F", "none", "-i", str(tmp_path / "user"), "-p", str(port),
        *(f"-o{option}" for option in options), "127.0.0.1",
    ]  # fmt: skip
    server.terminate()
    server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_dropped_connection_costs_nothing(footplate: Footplate, ssh: list[str]) -> None:
    footplate.scripted("story", STORY, rate=60)
    footplate.configure('[models]\ndefault = "story"\n')
    command = [*ssh, "cd", str(Path.cwd()), "&&", *COMMAND]
    with Terminal(command, os.environ, rows=40, columns=120) as screen:
        screen.wait_for("story")
        screen.send("Tell me.\r")
        screen.wait_for("word3")
        host = footplate.host()
        screen.process.kill()
        screen.process.wait()
    wait_until(lambda: (footplate.status() or {}).get("screens") == 0, "the screen ends with its connection")
    with Terminal(command, os.environ, rows=40, columns=120) as screen:
        screen.wait_for("word119", "the-end", seconds=60)
        assert footplate.host().pid == host.pid
        footplate.leave(screen)
    wait_until(lambda: not host.is_running(), "the host ends when idle")
