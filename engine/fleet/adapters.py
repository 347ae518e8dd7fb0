"""The adapters that the settings list for a model, in the plan for loading it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from engine.errors import ModelLoadError
from engine.runtimes.llama_cpp.options import AdapterFile
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.settings import AdapterSettings
from engine.types import LoadPlan, ModelEntry

_REMEDY = "Correct [runtime.lora] in the settings."


def with_adapters(plan: LoadPlan, entry: ModelEntry, wanted: Sequence[AdapterSettings], folder: Path) -> LoadPlan:
    """The plan with these adapters and the memory they take; paths that are not absolute begin in `folder`.

    Raises `ModelLoadError` for a file that is not there, two of the same name, and a runtime that takes none.
    """
    if not wanted:
        return plan
    if plan.runtime != LlamaSpec.name:
        raise ModelLoadError(
            f"The settings list adapters for {entry.id}, which is not run by {LlamaSpec.label}: that alone takes them.",
            remedy=_REMEDY,
        )
    files = [AdapterFile(path=str(folder / Path(each.path).expanduser()), scale=each.scale) for each in wanted]
    name, count = Counter(file.name for file in files).most_common(1)[0]
    if count > 1:
        raise ModelLoadError(
            f"Two adapters of {entry.id} are named {name}.",
            meaning="Requests choose adapters by their files' names.",
            remedy="Rename one of the files, and correct [runtime.lora] in the settings.",
        )
    memory = sum(_size(file, entry) for file in files)
    options = {**plan.options, "lora": [{"path": file.path, "scale": file.scale} for file in files]}
    return replace(plan, options=options, memory=plan.memory + memory)


def _size(file: AdapterFile, entry: ModelEntry) -> int:
    try:
        return Path(file.path).stat().st_size
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelLoadError(
            f"The adapter {file.path} of {entry.id} cannot be read: {reason}.", remedy=_REMEDY
        ) from error
