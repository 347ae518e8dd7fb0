"""Real chat templates: those that lie in the source distribution of the installed llama-cpp-python."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

_TEMPLATES = "vendor/llama.cpp/models/templates"


def templates(cache: Path) -> Path:
    """The folder of the templates: under FOOTPLATE_LLAMA_SOURCE, or downloaded into `cache` once."""
    unpacked = os.environ.get("FOOTPLATE_LLAMA_SOURCE")
    if unpacked:
        return Path(unpacked) / _TEMPLATES
    version = importlib.metadata.version("llama-cpp-python")
    target = cache / f"llama-templates-{version}"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=cache) as made:
            _unpack(_download(Path(made), version), Path(made) / "templates")
            try:
                (Path(made) / "templates").rename(target)
            except OSError:
                if not target.exists():  # else another test process was faster
                    raise
    return target


def _download(folder: Path, version: str) -> Path:
    """The archive. pip works out its metadata on the way, which compiles nothing."""
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    package = f"llama-cpp-python=={version}"
    command = [*pip, "download", "--no-deps", "--no-binary", "llama-cpp-python", "--dest", str(folder), package]
    subprocess.run(command, check=True, stdout=sys.stderr, timeout=300)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    folder.mkdir()
    with tarfile.open(archive) as members:
        for member in members:
            if f"/{_TEMPLATES}/" in member.name and member.name.endswith(".jinja"):
                content = members.extractfile(member)
                assert content is not None
                (folder / Path(member.name).name).write_bytes(content.read())
