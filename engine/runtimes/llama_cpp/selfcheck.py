"""Whether the fast kernels of this build survive on this processor: proved once, in a process that may die of it.

Builds by GCC before 12.4 (and 13 before 13.3) crash in llama.cpp's AMX kernels at the first prompt (GCC bug
target/114098), and a library built on another machine may use instructions that this one lacks. So a throw-away child
computes a real prompt before the first load, and its end is the answer. The verdict is kept until the library or the
processor changes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.runtimes.llama_cpp import library
from engine.types import Hardware, LoadPlan
from engine.worker.probe import ProbeFailed, probe
from engine.worker.protocol import Probed

NOTICE = (
    "llama.cpp's fast kernels, as they were built here, crash on this processor. They are off, and prompts take "
    "several times longer. To mend it, build llama.cpp again: `make clean install` in a checkout, or "
    "`CMAKE_ARGS=-DCMAKE_CXX_FLAGS=-fno-dse uv tool install --reinstall --no-cache footplate`."
)
TRIAL: dict[str, Any] = {
    "n_ctx": 256,
    "n_seq": 1,
    "n_cells": 0,
    "extra_bufts": True,
    "n_gpu_layers": 0,
    "encode": False,
    "n_batch": 512,
    "n_ubatch": 512,
    "lora": [],
    "prefix_disk": 0,
    "prefix_memory": 0,
}
"""Options that make a trial small; its prompt still fills the matrix kernels."""
CRASHES = frozenset({"SIGILL", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGABRT", "SIGTRAP"})
"""Ends that are the kernels' own doing; SIGKILL is the system's, when memory runs out."""

_log = logging.getLogger(__name__)


class Verdict(msgspec.Struct, frozen=True):
    """What a check found."""

    fast: bool
    """The fast kernels work."""


async def prove(
    plan: LoadPlan, *, module: str, model: Path, hardware: Hardware, cache: Path, log: Path, wish: bool | None
) -> LoadPlan:
    """`plan`, with the fast kernels switched off and a notice where they do not work here.

    `module` is the worker's; `model` is what the child tries the kernels with (a small one will do); `cache` is the
    folder that keeps the verdict, `log` the file for what the child says; `wish` is the user's setting, which is taken
    without a check. A child that fails for a reason of its own (no memory, a damaged file) proves nothing: the plan is
    left as it is, and loading will say what is wrong.
    """
    if wish is not None:
        return replace(plan, options={**plan.options, "extra_bufts": wish})
    place = cache / f"llama_cpp-kernels-{fingerprint(library.version(), library.shared_libraries(), hardware)}.json"
    verdict = _kept(place) or judge(await probe(module, str(model), {**plan.options, **TRIAL}, log=log))
    if verdict is None:
        return plan
    _keep(place, verdict)
    if verdict.fast:
        return plan
    notices = (*plan.options.get("notices", ()), NOTICE)
    options = {**plan.options, "extra_bufts": False, "mmap": True, "notices": notices}
    return replace(plan, options=options, reasons=(*plan.reasons, "The fast kernels are off: they crash here."))


def judge(found: Probed | ProbeFailed) -> Verdict | None:
    """What a trial proves; `None` is nothing."""
    if isinstance(found, Probed):
        return Verdict(fast=True)
    _log.warning("the trial of the fast kernels failed: %s", found.error.sentence())
    return Verdict(fast=False) if found.signal in CRASHES else None


def fingerprint(version: str | None, libraries: Iterable[Path], hardware: Hardware) -> str:
    """A name for this library on this processor: it changes when either does."""
    facts: list[object] = [version, hardware.cpu, sorted(hardware.features)]
    for path in libraries:
        stat = path.stat()
        facts.append((path.name, stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:16]


def _kept(place: Path) -> Verdict | None:
    try:
        return msgspec.json.decode(place.read_bytes(), type=Verdict)
    except (OSError, msgspec.MsgspecError):
        return None


def _keep(place: Path, verdict: Verdict) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.write_bytes(msgspec.json.encode(verdict))
    except OSError as error:
        _log.warning("the verdict on the fast kernels cannot be kept in %s: %s", place.parent, error)
