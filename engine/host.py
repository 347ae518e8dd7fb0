"""The engine host, `python -P -m engine.host`: alone builds the parts, starts them in order, stops them in reverse."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from engine import lock, logs, version
from engine.api.app import build_app
from engine.api.auth import hash_key
from engine.api.control.routes import add_routes
from engine.api.limits import Admission
from engine.api.listener import Listener
from engine.api.switch import ApiSwitch
from engine.bus import Bus
from engine.chat.conversations import Conversations
from engine.chat.turns import Turns
from engine.errors import ErrorInfo, FootplateError, ModelNotFound
from engine.events import HostStopping, StatusChanged
from engine.fleet.fleet import Fleet
from engine.fleet.prefix_folder import PrefixFolder
from engine.fleet.runtimes import Runtimes
from engine.jobs import Jobs
from engine.models.catalog import Catalog
from engine.models.download.downloads import KIND, Downloads
from engine.parts import Identity, Parts
from engine.paths import Paths
from engine.presence import Presence
from engine.runtimes import registry
from engine.settings import SettingsStore
from engine.tools.builtin import built_in_tools

log = logging.getLogger(__name__)

GRACE_S = 3.0
"""Seconds without a screen, work and open API after which a host that is not `--serve` ends."""
FIRST_SCAN_S = 2.0
"""Seconds that the start waits for the first look at the model folders, which then goes on by itself."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the host was started."""

    serve: bool
    host: str | None
    port: int | None
    model: str | None
    api_key: str | None
    ready_fd: int | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the host until it ends; the exit code. Says on the ready descriptor, or on stderr, why it cannot start."""
    options = parse(sys.argv[1:] if arguments is None else arguments, os.environ)
    try:
        return run(options)
    except FootplateError as error:
        _say_ready(options, error.info)
        print(error, file=sys.stderr)
        return error.exit_code


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Options from the command line; the API key comes by FOOTPLATE_API_KEY, so that no list of processes shows it."""
    parser = argparse.ArgumentParser(prog="engine.host", description="The engine host of Footplate.")
    parser.add_argument("--serve", action="store_true", help="stay until stopped, with the API open")
    parser.add_argument("--host", help="address of the API")
    parser.add_argument("--port", type=int, help="port of the API")
    parser.add_argument("--model", help="the model that answers by default")
    parser.add_argument("--ready-fd", type=int, help="descriptor on which to say that the host is ready, or why not")
    found = parser.parse_args(arguments)
    return Options(
        serve=found.serve,
        host=found.host,
        port=found.port,
        model=found.model,
        api_key=environ.get("FOOTPLATE_API_KEY") or None,
        ready_fd=found.ready_fd,
    )


def run(options: Options) -> int:
    """Becomes the host of this home and serves until told to stop, or until idle.

    Raises `StartError` and its kin, or `SettingsError`, when it cannot start.
    """
    lock.require_unix()
    if options.ready_fd is not None:
        os.set_inheritable(options.ready_fd, False)
    paths = Paths.find(os.environ)
    paths.make()
    held = lock.HostLock.take(paths.lock)
    os.chdir("/")
    if paths.contained:  # where a token for the Hub would be looked for
        os.environ.setdefault("HF_HOME", str(paths.cache / "huggingface"))
    try:
        asyncio.run(_host(options, paths))
    finally:
        held.release()
    return 0


async def _host(options: Options, paths: Paths) -> None:
    stopping: asyncio.Queue[str] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # started by nohup: it is to outlive its terminal
        asyncio.get_running_loop().add_signal_handler(number, stopping.put_nowait, f"It was told to ({number.name}).")
    settings = SettingsStore(paths.settings_file)
    logs.start(paths.logs, settings.current.log.level)
    async with AsyncExitStack() as stack:
        parts = await _build(stack, options, paths, settings, stopping.put_nowait)
        await _open_api(parts, options)
        await _answer_at_socket(stack, parts)
        if not options.serve:
            _begin(stack, _end_when_idle(parts))
        _say_ready(options, None)
        log.info("Footplate %s answers at %s", parts.identity.version, paths.socket)
        if options.serve:
            print(_announcement(parts), flush=True)
        reason = await stopping.get()
        log.info("ending: %s", reason)
        parts.bus.publish(HostStopping(reason=reason))
        parts.bus.close()


async def _build(
    stack: AsyncExitStack, options: Options, paths: Paths, settings: SettingsStore, stop: Callable[[str], None]
) -> Parts:
    """Builds the parts and starts those that run by themselves; `stack` ends them in reverse."""
    bus = Bus()
    presence = Presence(lambda: bus.publish(StatusChanged(status=parts.status())))
    specs = registry.specs()
    wanted = options.model or settings.current.models.default
    catalog = Catalog(bus, specs, partial(_folders, paths, settings), wanted)
    conversations = await Conversations.open(paths.database, bus)
    stack.push_async_callback(conversations.close)
    prefixes = PrefixFolder(paths.prefixes, lambda: settings.current.cache)
    runtimes = Runtimes(specs, lambda: settings.current.runtime, paths, prefixes)
    fleet = Fleet(bus, catalog.find, runtimes)
    stack.push_async_callback(fleet.shutdown)
    tools = built_in_tools(runtimes.hardware, lambda: catalog.models, lambda: fleet.workers, specs)
    turns = Turns(bus, conversations, fleet, tools, partial(presence.hold, "turns"))
    stack.push_async_callback(turns.shutdown)
    downloads = Downloads(paths.models, catalog, lambda: settings.current.downloads)
    stack.push_async_callback(downloads.close)
    jobs = Jobs(
        bus,
        paths.jobs,
        {KIND: downloads.open},
        lambda: settings.current.downloads.at_once,
        partial(presence.hold, "jobs"),
    )
    stack.push_async_callback(jobs.shutdown)
    admission = Admission(settings.current.api.most_requests)
    api = ApiSwitch(bus, presence, settings, lambda hashes, host: _public(parts, hashes, host))
    stack.push_async_callback(api.close)
    parts = Parts(
        identity=Identity(version=version.installed(), started=time.time(), serve=options.serve, paths=paths),
        settings=settings,
        bus=bus,
        presence=presence,
        admission=admission,
        catalog=catalog,
        fleet=fleet,
        conversations=conversations,
        turns=turns,
        jobs=jobs,
        downloads=downloads,
        api=api,
        stop=stop,
    )
    _begin(stack, catalog.watch())
    _begin(stack, fleet.watch())
    _begin(stack, prefixes.watch())
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(catalog.scanned.wait()), FIRST_SCAN_S)
    _check_model(catalog, options, wanted)
    jobs.begin()
    return parts


def _check_model(catalog: Catalog, options: Options, wanted: str) -> None:
    """Refuses a `--model` that is not there; a default that has gone is only noted, as the built-in model answers."""
    try:
        catalog.find(wanted)
    except ModelNotFound as error:
        if options.model:
            raise
        log.warning("the default model of the settings is not there: %s", error)


async def _open_api(parts: Parts, options: Options) -> None:
    """Opens the API where the command line or the settings say so; only `--serve` cannot do without."""
    wish = parts.settings.current.api
    if not options.serve and not wish.enabled:
        return
    hashes = (hash_key(options.api_key),) if options.api_key else wish.key_hashes
    host = wish.host if options.host is None else options.host
    port = wish.port if options.port is None else options.port
    try:
        await parts.api.open(host, port, hashes)
    except FootplateError as error:
        if options.serve:
            raise
        log.warning("the API is not open: %s", error)


async def _answer_at_socket(stack: AsyncExitStack, parts: Parts) -> None:
    app = build_app(parts, local=True, admission=parts.admission)
    add_routes(app, parts)
    path = parts.identity.paths.socket
    listener = await Listener.on(app, lock.bind(path), path)
    stack.push_async_callback(listener.close)
    stack.callback(path.unlink, missing_ok=True)


async def _end_when_idle(parts: Parts) -> None:
    await parts.presence.idle(GRACE_S)
    parts.stop("Nobody is attached, nothing runs, and the API is closed.")


def _announcement(parts: Parts) -> str:
    """What somebody who serves from a terminal wants to know."""
    key = "with your key" if parts.api.state.key_required else "no key is asked for"
    file = parts.identity.paths.logs / logs.NAME
    return (
        f"Footplate {parts.identity.version} answers at {parts.api.state.url}/v1, {key}.\n"
        f"Where no model is named, {parts.catalog.active} answers. Ctrl+C ends it; the log is {file}."
    )


def _public(parts: Parts, key_hashes: Sequence[str], host: str) -> web.Application:
    return build_app(parts, local=False, key_hashes=key_hashes, names=(host,), admission=parts.admission)


def _folders(paths: Paths, settings: SettingsStore) -> list[Path]:
    return [paths.models, *(Path(folder).expanduser() for folder in settings.current.models.folders)]


def _begin(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` beside the rest until the host ends; a fault in it is logged."""
    task = asyncio.create_task(work)
    task.add_done_callback(_look)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)


def _look(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (fault := task.exception()):
        log.error("a part of the host failed", exc_info=fault)


def _say_ready(options: Options, error: ErrorInfo | None) -> None:
    """Writes `{"ok": true}` or `{"error": ...}` to the descriptor of whoever started the host, and closes it."""
    if options.ready_fd is None:
        return
    line = msgspec.json.encode({"error": error} if error else {"ok": True}) + b"\n"
    with suppress(OSError), os.fdopen(options.ready_fd, "wb") as out:
        out.write(line)


if __name__ == "__main__":
    raise SystemExit(main())
