"""The installed llama.cpp library as files: seen without importing it."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

DISTRIBUTION = "llama-cpp-python"
_GPU_LIBRARIES = ("cuda", "metal", "vulkan", "hip", "sycl", "opencl", "musa", "cann")


def version() -> str | None:
    """The installed version; `None` when it is not installed."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return None


def shared_libraries() -> tuple[Path, ...]:
    """The shared libraries it brought, sorted; empty when it is not installed."""
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return ()
    found = {
        Path(str(file.locate()))
        for file in files
        if ".so" in file.suffixes or file.suffix in (".so", ".dylib", ".dll") or ".so." in file.name
    }
    return tuple(sorted(path for path in found if path.exists()))


def gpu_backends() -> tuple[str, ...]:
    """Kinds of graphics cards that this build can use, such as `cuda`."""
    names = [path.name for path in shared_libraries()]
    return tuple(kind for kind in _GPU_LIBRARIES if any(f"ggml-{kind}" in name for name in names))
