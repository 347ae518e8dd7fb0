"""Finding model files: which there are in a folder, and what each says of itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from engine.errors import CorruptModel, FootplateError, ModelLoadError
from engine.models.formats.gguf import read_header, split_files
from engine.models.kinds import kind_of
from engine.runtimes.spec import RuntimeSpec
from engine.types import ModelEntry

SUFFIXES = {".gguf": "gguf", ".scripted.toml": "scripted"}
DEEPEST = 8
"""Levels of folders below the one that is searched."""
MOST_FILES = 5000
"""Model files of one folder; more are left out."""
_PART = re.compile(r"-(\d{5})-of-\d{5}$")
_PROJECTORS = frozenset({"clip"})
"""Architectures of files that belong to another model, and are none by themselves."""


def files(folder: Path) -> Iterator[Path]:
    """The model files below `folder`, sorted; links are followed, each real folder is entered once.

    Passed over: folders that cannot be read, the later parts of a split model, and names that a terminal would take
    for commands.
    """
    seen: set[tuple[int, int]] = set()
    count = 0
    for path in _walk(folder, seen, DEEPEST):
        part = _PART.search(path.name.removesuffix(path.suffix))
        if kind(path) and path.name.isprintable() and (part is None or int(part[1]) == 1):
            yield path
            count += 1
            if count == MOST_FILES:
                return


def kind(path: Path) -> str | None:
    """The format that a file's name promises."""
    name = path.name.lower()
    return next((found for suffix, found in SUFFIXES.items() if name.endswith(suffix)), None)


def stem(path: Path) -> str:
    """The name of a model file without what says its format, or which part of a split model it is."""
    lower = path.name.lower()
    suffix = next((suffix for suffix in SUFFIXES if lower.endswith(suffix)), "")
    return _PART.sub("", path.name[: len(path.name) - len(suffix)])


def describe(path: Path, model_id: str, specs: Sequence[RuntimeSpec]) -> ModelEntry | None:
    """What the file at `path` is; a file that cannot be used carries the error. Reads its header.

    `None` for a file that is a part of another model.
    """
    found = kind(path) or ""
    runtimes = tuple(spec.name for spec in specs if found in spec.formats)
    plain = ModelEntry(id=model_id, path=str(path), format=found, size=0, name=stem(path), runtimes=runtimes)
    try:
        if found == "gguf":
            return _gguf(path, plain)
        return replace(plain, size=path.stat().st_size)
    except FootplateError as error:
        return replace(plain, size=_size([path]), error=error.info)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        unreadable = ModelLoadError(f"{path} cannot be read: {reason}.", remedy="Look at the file's permissions.")
        return replace(plain, size=_size([path]), error=unreadable.info)


def _gguf(path: Path, plain: ModelEntry) -> ModelEntry | None:
    header = read_header(path)
    if header.architecture in _PROJECTORS:
        return None
    parts = split_files(path)
    missing = [part.name for part in parts if not part.exists()]
    error = CorruptModel(
        f"{path.name} is one of {len(parts)} files, and these are missing: {', '.join(missing)}.",
        remedy="Download the whole model.",
    )
    return replace(
        plain,
        size=_size(parts),
        name=header.name or plain.name,
        architecture=header.architecture,
        parameters=header.parameters,
        quantization=header.quantization,
        kind=kind_of(header),
        context_length=header.context_length,
        error=error.info if missing else None,
    )


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.exists())


def _walk(folder: Path, seen: set[tuple[int, int]], depth: int) -> Iterator[Path]:
    try:
        stat = folder.stat()
        if (stat.st_dev, stat.st_ino) in seen:
            return
        seen.add((stat.st_dev, stat.st_ino))
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_file():
                yield Path(entry.path)
            elif entry.is_dir() and depth and not entry.name.startswith("."):
                yield from _walk(Path(entry.path), seen, depth - 1)
        except OSError:
            continue
