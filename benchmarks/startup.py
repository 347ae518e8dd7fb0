"""How soon `footplate` paints its first frame, beside the smallest Textual app, and what screen and host weigh.

Both are started through a pseudo-terminal of 80×24 in interleaved rounds, with a host that does not run before; the
clock stops when the last word of the first frame has arrived. Memory is resident size once the screen is attached and
before a model is loaded, of the screen's process and of the host's with its children.

    python benchmarks/startup.py [--rounds 15] [--output benchmarks/results/startup.json]
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import platform
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import psutil

HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("Hello, world: the whole frame")
Hello().run()
"""
DEADLINE_S = 60.0


class Child:
    """A program on a terminal of its own."""

    def __init__(self, argv: list[str], environ: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=environ, cwd="/", start_new_session=True
        )
        os.close(slave)
        self._output = b""

    def seconds_until(self, text: str) -> float:
        """Seconds from the start until `text` has arrived."""
        while text.encode() not in self._output:
            if not select.select([self._master], [], [], DEADLINE_S)[0]:
                raise SystemExit(f"{text!r} did not come; the end of what came: {self._output[-400:]!r}")
            self._output += os.read(self._master, 65536)
        return time.perf_counter() - self.started

    def end(self) -> None:
        """Ends the program as a user would, and waits for it."""
        os.write(self._master, b"\x11")
        deadline = time.monotonic() + DEADLINE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.05)[0]:
                try:
                    os.read(self._master, 65536)
                except OSError:
                    break  # the program closed its side
        self.process.wait(DEADLINE_S)
        os.close(self._master)


def environ(home: str) -> dict[str, str]:
    """The environment of a plain terminal."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {"LANG": "C.UTF-8", **kept, "TERM": "xterm-256color", "FOOTPLATE_HOME": home}


def resident(process: psutil.Process) -> int:
    """Resident bytes of a process and its children."""
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])


def one_round(footplate: list[str], hello: list[str]) -> dict[str, float]:
    """Both programs once, each in a fresh home."""
    with tempfile.TemporaryDirectory(prefix="fp-") as home:
        child = Child(hello, environ(home))
        hello_s = child.seconds_until("the whole frame")
        child.end()
        child = Child(footplate, environ(home))
        frame_s = child.seconds_until("F1")
        attached_s = child.seconds_until("API off")
        screen = child.process.pid
        status = subprocess.run(
            [*footplate, "status", "--json"], env=environ(home), capture_output=True, check=True, cwd="/"
        )
        host = json.loads(status.stdout)["pid"]
        sizes = {"screen_rss": resident_alone(screen), "host_rss": resident(psutil.Process(host))}
        child.end()
        psutil.wait_procs([process for process in [find(host)] if process], timeout=DEADLINE_S)
        return {"hello_s": hello_s, "first_frame_s": frame_s, "attached_s": attached_s, **sizes}


def resident_alone(pid: int) -> int:
    """Resident bytes of one process."""
    return psutil.Process(pid).memory_info().rss


def find(pid: int) -> psutil.Process | None:
    """The process, while there is one."""
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def main() -> None:
    """Runs the rounds and writes what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "startup.json")
    arguments = parser.parse_args()
    footplate = [sys.executable, "-P", "-m", "tui"]
    hello = [sys.executable, "-P", "-c", HELLO]
    one_round(footplate, hello)  # compiles and warms the page cache
    rounds = [one_round(footplate, hello) for _ in range(arguments.rounds)]
    medians = {name: statistics.median(taken[name] for taken in rounds) for name in rounds[0]}
    mib = 1024 * 1024
    result = {
        "what": "first painted frame and resident memory, medians",
        "rounds": arguments.rounds,
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count(), "load": os.getloadavg()[0]},
        "python": platform.python_version(),
        "hello_s": round(medians["hello_s"], 3),
        "first_frame_s": round(medians["first_frame_s"], 3),
        "ratio": round(medians["first_frame_s"] / medians["hello_s"], 2),
        "attached_s": round(medians["attached_s"], 3),
        "screen_mib": round(medians["screen_rss"] / mib, 1),
        "host_mib": round(medians["host_rss"] / mib, 1),
        "together_mib": round((medians["screen_rss"] + medians["host_rss"]) / mib, 1),
        "goals": {"ratio": 1.5, "together_mib": 150},
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
