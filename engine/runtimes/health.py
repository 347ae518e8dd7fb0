"""Whether each runtime works on this machine: installed, importable, and alive after its fastest kernels have run."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from engine.errors import ErrorInfo, RuntimeMissing
from engine.runtimes.llama_cpp import selfcheck
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.runtimes.spec import RuntimeSpec
from engine.worker.protocol import Probed

Try = Callable[[str, str, dict[str, Any]], Awaitable[Probed | ErrorInfo]]
"""Starts a throw-away child of a module with a model and options; what it found, or why it failed."""


class RuntimeHealth(Struct, frozen=True, kw_only=True):
    """What was found out about one runtime."""

    label: str
    """Its name for people."""
    probed: Probed | None = None
    """What its library says of itself; `None` when it does not work."""
    error: ErrorInfo | None = None
    """Why it does not work."""
    notice: str | None = None
    """What works less well than it could, and how to mend it."""


async def runtime_health(spec: RuntimeSpec, attempt: Try, *, model: Path) -> RuntimeHealth:
    """The health of one runtime; `model` is a small one to try llama.cpp's kernels with."""
    if missing := _missing(spec):
        return RuntimeHealth(label=spec.label, error=missing)
    plain = await attempt(spec.worker_module, "", {})
    if isinstance(plain, ErrorInfo):
        return RuntimeHealth(label=spec.label, error=plain)
    notice = None
    if spec.name == LlamaSpec.name:
        tried = await attempt(spec.worker_module, str(model), selfcheck.TRIAL)
        notice = selfcheck.NOTICE if isinstance(tried, ErrorInfo) else None
    return RuntimeHealth(label=spec.label, probed=plain, notice=notice)


def _missing(spec: RuntimeSpec) -> ErrorInfo | None:
    if spec.distribution is None:
        return None
    try:
        importlib.metadata.version(spec.distribution)
    except importlib.metadata.PackageNotFoundError:
        return RuntimeMissing(f"{spec.label} is not installed.", remedy=f"uv pip install {spec.distribution}").info
    return None
