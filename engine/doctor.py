"""`footplate doctor`: checks the installation, says what is wrong and the command that mends it.

Every check is a function that returns findings; none changes anything but a file written and removed in each folder.
Runtime libraries are tried in throw-away children, for one that crashes must not take the doctor with it.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import os
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from engine.builtin import GUIDE
from engine.errors import ErrorInfo, FootplateError, InternalError
from engine.hardware.detect import detect
from engine.paths import Paths
from engine.runtimes.health import runtime_health
from engine.runtimes.registry import specs
from engine.settings import Settings, read
from engine.worker.probe import probe
from engine.worker.protocol import Probed


class Health(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one check found."""

    check: str
    """What was looked at, a word or two."""
    health: Health
    what: str
    """What was found, one sentence."""
    remedy: str = ""
    """The command or the step that mends it."""


Check = Callable[[Paths, Settings], Awaitable[list[Finding]]]


def _ok(check: str, what: str) -> Finding:
    return Finding(check=check, health=Health.OK, what=what)


def _warning(check: str, what: str, remedy: str = "") -> Finding:
    return Finding(check=check, health=Health.WARNING, what=what, remedy=remedy)


def _problem(check: str, what: str, remedy: str) -> Finding:
    return Finding(check=check, health=Health.PROBLEM, what=what, remedy=remedy)


async def check_python(paths: Paths, settings: Settings) -> list[Finding]:
    """The interpreter and the operating system."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.platform == "win32":
        return [_problem("python", f"Python {version} on Windows: the host needs Unix sockets.", "Use WSL 2.")]
    return [_ok("python", f"Python {version} at {sys.executable}")]


async def check_hardware(paths: Paths, settings: Settings) -> list[Finding]:
    """Processor, memory and graphics cards, as far as they can be read."""
    hardware = await asyncio.to_thread(detect)
    features = ", ".join(hardware.features) or "no instruction set known to matter"
    found = [_ok("cpu", f"{hardware.cpu or 'unknown processor'}, {hardware.cores or 'unknown'} cores: {features}")]
    if hardware.memory is None:
        found.append(_warning("memory", "The size of the memory cannot be read; what fits is not known."))
    else:
        free = "unknown" if hardware.memory_free is None else f"{hardware.memory_free / 2**30:.1f} GiB"
        found.append(_ok("memory", f"{hardware.memory / 2**30:.1f} GiB, {free} free"))
    for gpu in hardware.gpus:
        size = "memory unknown" if gpu.memory is None else f"{gpu.memory / 2**30:.1f} GiB"
        found.append(_ok("gpu", f"{gpu.name}, {size}"))
    if not hardware.gpus:
        found.append(_ok("gpu", "No NVIDIA card answers; models run on the processor."))
    return found


async def check_runtimes(paths: Paths, settings: Settings) -> list[Finding]:
    """Each runtime that comes with a library: installed, importable, and whether its fast kernels survive here."""
    found = []

    async def attempt(module: str, path: str, options: dict[str, Any]) -> Probed | ErrorInfo:
        with tempfile.TemporaryDirectory() as folder:
            outcome = await probe(module, path, options, log=Path(folder) / "probe.log")
        return outcome if isinstance(outcome, Probed) else outcome.error

    for spec in specs():
        if spec.distribution is None:
            continue
        health = await runtime_health(spec, attempt, model=GUIDE)
        if health.probed is None:
            info = health.error or InternalError("It was not tried.").info
            found.append(_problem(health.label, f"{info.what} {info.meaning}".strip(), info.remedy))
            continue
        features = ", ".join((*health.probed.devices, *health.probed.features))
        found.append(_ok(health.label, f"{health.probed.library}: {features}" if features else health.probed.library))
        if health.notice:
            found.append(_warning(health.label, health.notice))
    return found


async def check_folders(paths: Paths, settings: Settings) -> list[Finding]:
    """Every folder of ours can be written."""
    found = []
    try:
        paths.make()
    except FootplateError as error:
        return [_problem("folders", error.info.what, error.info.remedy)]
    for folder in (paths.config, paths.data, paths.cache, paths.state, paths.run):
        try:
            with tempfile.NamedTemporaryFile(dir=folder):
                pass
        except OSError as error:
            remedy = f"chmod u+rwx {folder}, or name another place with FOOTPLATE_HOME."
            found.append(_problem("folders", f"{folder} cannot be written: {error.strerror}.", remedy))
    return found or [_ok("folders", f"data in {paths.data}, settings in {paths.config}")]


async def check_model(paths: Paths, settings: Settings) -> list[Finding]:
    """The built-in model is there."""
    if GUIDE.is_file():
        return [_ok("guide", f"the built-in model, {GUIDE.stat().st_size / 1e6:.1f} MB")]
    return [_problem("guide", f"The built-in model {GUIDE} is missing.", "Install Footplate again.")]


async def check_host(paths: Paths, settings: Settings) -> list[Finding]:
    """Whether a host runs, and of which version."""
    from engine.client import EngineClient  # noqa: PLC0415 - imports aiohttp

    client = EngineClient(paths)
    try:
        await client.attach(start=False)
        status = await client.status()
        return [_ok("host", f"runs as process {status.pid}, version {status.version}, socket {paths.socket}")]
    except FootplateError as error:
        if error.code == "host_unreachable":
            return [_ok("host", "none runs; `footplate` starts one")]
        return [_problem("host", error.info.what, error.info.remedy)]
    finally:
        await client.close()


async def check_port(paths: Paths, settings: Settings) -> list[Finding]:
    """The API's port can be opened, or is open because our host holds it."""
    host, port = settings.api.host, settings.api.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            remedy = "If another program holds it, set api.port in the settings or give --port."
            return [_warning("port", f"{host}:{port} cannot be opened now: {error.strerror}.", remedy)]
    return [_ok("port", f"{host}:{port} is free for the API")]


async def check_terminal(paths: Paths, settings: Settings) -> list[Finding]:
    """The terminal can show the screen."""
    encoding = (sys.stdout.encoding or "").lower()
    if encoding.replace("-", "") != "utf8":
        return [_warning("terminal", f"Its text encoding is {encoding or 'unknown'}.", "export LANG=C.UTF-8")]
    return [_ok("terminal", f"{os.environ.get('TERM', 'unknown')}, UTF-8")]


CHECKS: tuple[Check, ...] = (
    check_python,
    check_hardware,
    check_runtimes,
    check_folders,
    check_model,
    check_host,
    check_port,
    check_terminal,
)


async def examine(paths: Paths) -> list[Finding]:
    """Runs every check; one that fails unexpectedly is itself a finding."""
    try:
        settings = read(paths.settings_file)
        found = [_ok("settings", str(paths.settings_file) if paths.settings_file.exists() else "defaults, no file")]
    except FootplateError as error:
        settings = Settings()
        found = [_problem("settings", error.info.what, error.info.remedy or f"Edit {paths.settings_file}.")]
    for check in CHECKS:
        try:
            found += await check(paths, settings)
        except FootplateError as error:
            found.append(_problem(check.__name__.removeprefix("check_"), error.info.what, error.info.remedy))
    return found


def report(found: list[Finding]) -> str:
    """The findings as lines of text, remedies below what they mend."""
    marks = {Health.OK: "ok", Health.WARNING: "warn", Health.PROBLEM: "FAIL"}
    width = max(len(finding.check) for finding in found)
    lines = [f"Footplate {importlib.metadata.version('footplate')}"]
    for finding in found:
        lines.append(f"  {marks[finding.health]:<4}  {finding.check:<{width}}  {finding.what}")
        if finding.remedy:
            lines.append(f"        {'':<{width}}  → {finding.remedy}")
    problems = sum(finding.health is Health.PROBLEM for finding in found)
    lines.append("Nothing is wrong." if not problems else f"{problems} to mend, see → above.")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Prints the findings; exit code 1 when something has to be mended."""
    parser = argparse.ArgumentParser(prog="footplate doctor", description="Check the installation.")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    options = parser.parse_args(arguments)
    found = asyncio.run(examine(Paths.find(os.environ)))
    if options.json:
        print(msgspec.json.encode(found).decode())
    else:
        print(report(found))
    return int(any(finding.health is Health.PROBLEM for finding in found))


if __name__ == "__main__":
    raise SystemExit(main())
