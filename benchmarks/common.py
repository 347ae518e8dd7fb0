"""What the benchmarks share: a host on a home of its own, and the folder of results."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from engine.errors import ErrorInfo, StartError, from_info
from engine.paths import Paths

RESULTS = Path(__file__).parent / "results"


def library() -> str:
    """Name and version of the llama.cpp bindings."""
    return f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}"


def keep(name: str, result: Any, folder: Path = RESULTS) -> Path:
    """Writes a result as `name`.json into `folder`; where."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{name}.json"
    place.write_text(json.dumps(msgspec.to_builtins(result), indent=1) + "\n")
    return place


def home_paths(home: Path) -> Paths:
    """The folders of a home."""
    return Paths.find({"FOOTPLATE_HOME": str(home)})


def make_home(home: Path, model: Path, runtime: dict[str, Any]) -> None:
    """Makes a home that knows one model; `runtime` is the settings' table of that name, `None` for the default."""
    paths = home_paths(home)
    paths.models.mkdir(parents=True)
    (paths.models / model.name).symlink_to(model.resolve())
    paths.config.mkdir()
    given = [f"{key} = {json.dumps(value)}\n" for key, value in runtime.items() if value is not None]
    paths.settings_file.write_text("[runtime]\n" + "".join(given))


def start_host(home: Path, model: str) -> subprocess.Popen[bytes]:
    """The host behind `footplate --serve`, on a free port; it answers when this returns.

    It has a session of its own, so that Ctrl-C in the terminal leaves its end to the benchmark. Raises the host's
    reason for not starting.
    """
    ready, ready_fd = os.pipe()
    command = [sys.executable, "-P", "-m", "engine.host", "--serve", "--port", "0", "--model", model]
    host = subprocess.Popen(
        [*command, "--ready-fd", str(ready_fd)],
        pass_fds=[ready_fd],
        env={**os.environ, "FOOTPLATE_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(ready_fd)
    try:
        with os.fdopen(ready) as said:
            line = said.readline()
        if not line:
            raise StartError("The host ended while it was starting.")
        told = json.loads(line)
        if "error" in told:
            raise from_info(msgspec.convert(told["error"], ErrorInfo))
    except BaseException:
        host.kill()
        host.wait()
        raise
    return host
