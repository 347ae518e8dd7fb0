"""The command as end-to-end tests run it, on terminals and with slow models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
from fixtures.waiting import wait_until
from terminal import Terminal

COMMAND = (sys.executable, "-P", "-m", "tui")

SLOW = """
context = 4096
slots = 2
tok_per_s = {rate}

[[replies]]
match = "."
text = "{text}"
"""


class Footplate:
    """The command, run in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Runs `footplate ARGUMENTS` to its end."""
        return subprocess.run(
            [*COMMAND, *arguments],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def screen(self, *arguments: str, rows: int = 24, columns: int = 80, **environ: str) -> Terminal:
        """`footplate ARGUMENTS` on a terminal."""
        return Terminal([*COMMAND, *arguments], {**os.environ, **environ}, rows=rows, columns=columns)

    def scripted(self, name: str, text: str, rate: float) -> None:
        """Puts a model into the models folder that answers everything with `text` at `rate` tokens a second."""
        folder = self.home / "models"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.scripted.toml").write_text(SLOW.format(rate=rate, text=text))

    def configure(self, text: str) -> None:
        """Writes the settings file."""
        folder = self.home / "config"
        folder.mkdir(exist_ok=True)
        (folder / "config.toml").write_text(text)

    def status(self) -> dict[str, object] | None:
        """What `footplate status --json` says, or `None` when no host runs."""
        done = self.run("status", "--json")
        found: dict[str, object] = json.loads(done.stdout) if done.stdout.strip().startswith("{") else {}
        return found if "pid" in found else None

    def leave(self, screen: Terminal) -> None:
        """Quits `screen` once its host knows that nothing runs; otherwise it would ask."""
        wait_until(lambda: (self.status() or {}).get("turns") == 0, "no turn under way")
        screen.send("\x11")
        assert screen.wait_exit() == 0

    def host(self) -> psutil.Process:
        """The running host."""
        status = self.status()
        assert status is not None, "no host runs"
        return psutil.Process(int(str(status["pid"])))
