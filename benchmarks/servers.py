"""The servers that are compared, each started, restarted and ended with the same settings."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import psutil

from common import home_paths, library, make_home, start_host
from engine.client import EngineClient
from engine.errors import BadInput, StartError, Unsupported, WorkerDied
from engine.runtimes.llama_cpp.options import Options
from engine.types import WorkerInfo
from engine.version import installed

START_S = 120.0
"""Seconds within which a model is loaded."""
END_S = 20.0
"""Seconds that a server may take to end; it is killed then."""
QUIET_S = 0.8
"""Seconds without work after which a server is at rest. Footplate saves prompts when half a second was quiet."""
QUIET_LIMIT_S = 15.0
_LOOK_S = 0.1
_IDLE_S = 0.015
"""Processor time between two looks that is no work: the clock that counts it ticks every 10 ms."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What both servers are given."""

    threads: int
    context: int
    """Tokens per slot."""
    slots: int
    cells: int
    """Tokens of the KV cache, which all slots share."""
    saved_mib: int
    """Memory for saved prompts beside the KV cache."""


class Server(ABC):
    """A server on loopback; `url` and `pid` are there once it is started."""

    label: str
    version: str
    url: str
    pid: int | None
    """The process that holds the model; `None` where it is not known."""
    restarts = True

    @abstractmethod
    async def start(self) -> None:
        """Starts it and returns when the model is loaded. Raises a `FootplateError`."""

    @abstractmethod
    async def stop(self) -> None:
        """Ends it, by force if need be; nothing happens where it does not run."""

    async def at_rest(self) -> None:
        """Waits until the process does nothing, so that what it does behind a request slows no other server's."""
        if self.pid is None:
            return
        quiet, before = 0.0, -1.0
        for _ in range(round(QUIET_LIMIT_S / _LOOK_S)):
            try:
                times = psutil.Process(self.pid).cpu_times()
            except psutil.NoSuchProcess as error:
                raise WorkerDied(f"{self.label}'s process {self.pid} has ended while it was measured.") from error
            spent = times.user + times.system
            quiet, before = (quiet + _LOOK_S if spent - before < _IDLE_S else 0.0), spent
            if quiet > QUIET_S:
                return
            await asyncio.sleep(_LOOK_S)


class Footplate(Server):
    """`footplate --serve` on a home of its own, which a restart keeps."""

    def __init__(self, home: Path, model: Path, runtime: dict[str, Any], label: str = "Footplate") -> None:
        """`runtime` is the settings' table of that name."""
        self.label = label
        self.version = f"Footplate {installed()}, {library()}"
        self._model = model
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self._worker: WorkerInfo
        make_home(home, model, runtime)

    async def start(self) -> None:
        """See `Server`."""
        self._process = start_host(self._home, self._model.stem)
        client = EngineClient(home_paths(self._home), kind="script")
        try:
            self._worker = await client.load_model(self._model.stem)
            status = await client.status()
        finally:
            await client.close()
        if status.api.url is None:
            raise StartError("The host does not serve the API.")
        self.url, self.pid = status.api.url, self._worker.pid

    async def stop(self) -> None:
        """See `Server`. The worker saves its prompts, as at every end."""
        self._process = await _end(self._process)

    def settings(self) -> Settings:
        """What the model was loaded with. Raises `Unsupported` for a runtime that has no like among the peers."""
        plan = self._worker.plan
        if plan is None or plan.runtime != "llama_cpp":
            raise Unsupported(f"{self._model.name} is not run by llama.cpp.", remedy="Name a GGUF file.")
        options = msgspec.convert(plan.options, Options)
        return Settings(
            threads=options.threads,
            context=options.n_ctx,
            slots=options.n_seq,
            cells=options.cells,
            saved_mib=options.prefix_memory // 2**20,
        )


class LlamaServer(Server):
    """A llama-server of our own."""

    label = "llama-server"

    def __init__(self, program: Path, model: Path, settings: Settings, log: Path) -> None:
        self._model = model
        self._settings = settings
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._program = program.resolve()
        self.version = _version(self._program)

    def arguments(self) -> list[str]:
        """Everything but the file and the address. The KV cache is one pool of as many cells as Footplate's."""
        given = self._settings
        shared = ["--kv-unified", "--kv-unified-per-slot", str(given.context), "-np", str(given.slots)]
        size = ["-t", str(given.threads), "-c", str(given.cells), "--cache-ram", str(given.saved_mib)]
        return [*size, *shared, "-fa", "auto", "--no-ui", "--offline"]

    async def start(self) -> None:
        """See `Server`."""
        process = self._process = self._spawn(_free_port())
        self.pid = process.pid
        try:
            async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
                while not await _healthy(session, self.url):
                    if process.poll() is not None:
                        tail = self._log.read_text(errors="replace")[-600:]
                        raise StartError("llama-server ended while it was starting.", meaning=f"Its last words: {tail}")
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise StartError(f"llama-server was not ready within {START_S:.0f} s.") from error
        await check_like(self.url, self._model, self._settings)

    async def stop(self) -> None:
        """See `Server`."""
        self._process = await _end(self._process)

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        self.url = f"http://127.0.0.1:{port}"
        command = [self._program, "-m", self._model, "--host", "127.0.0.1", "--port", str(port), *self.arguments()]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


class RunningServer(Server):
    """A llama-server that somebody else started and ends; it is never restarted."""

    label = "llama-server"
    restarts = False

    def __init__(self, url: str, model: Path, settings: Settings) -> None:
        self.url = url.rstrip("/")
        self._model = model
        self._settings = settings
        place = urlsplit(url)
        self.pid = _listener(place.port or 80) if place.hostname in ("127.0.0.1", "::1", "localhost") else None

    async def start(self) -> None:
        """Makes sure that it is like Footplate. Raises `StartError` or `BadInput`."""
        self.version = f"llama-server {await check_like(self.url, self._model, self._settings)}"

    async def stop(self) -> None:
        """It stays."""


async def check_like(url: str, model: Path, settings: Settings) -> str:
    """Which build the llama-server at `url` is.

    Raises `BadInput` when it has another file, number of slots or context than Footplate; of its threads it does not
    tell.
    """
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/props") as response:
            props = await response.json()
        found = (Path(props["model_path"]).name, props["total_slots"], props["default_generation_settings"]["n_ctx"])
    except (aiohttp.ClientError, KeyError, ValueError) as error:
        raise StartError(f"No llama-server tells of itself at {url}/props: {error!r}.") from error
    wanted = (model.name, settings.slots, settings.context)
    if found != wanted:
        raise BadInput(
            "The peer has {} with {} slots of {} tokens; Footplate has {} with {} slots of {}.".format(*found, *wanted),
            remedy=f"Start it with -t {settings.threads} -c {settings.cells} -np {settings.slots} --kv-unified "
            f"--kv-unified-per-slot {settings.context}, or give this benchmark --slots and --context to match.",
        )
    return str(props.get("build_info", "of an unknown build"))


def _version(program: Path) -> str:
    """What the program says it is. Raises `StartError` when it is no llama-server that runs here."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise StartError(f"{program} does not run: {error}.") from error
    found = re.search(r"version: (.+)", said.stderr + said.stdout)
    if found is None:
        raise StartError(f"{program} does not tell its version.", remedy="Name a llama-server.")
    return f"llama-server {found[1]}"


async def _healthy(session: aiohttp.ClientSession, url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError):
        async with session.get(f"{url}/health") as response:
            return response.status == 200
    return False


async def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    try:
        process.terminate()
        for _ in range(round(END_S / 0.05)):
            if process.poll() is not None:
                return
            await asyncio.sleep(0.05)
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _listener(port: int) -> int | None:
    """The process of this user that listens on `port` of this machine."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in process.net_connections()):
                return process.pid
    return None
