"""What of a repository makes one usable model: pure functions over its list of files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from engine.errors import NotFound
from engine.types import HubFile, HubVariant

PREFERRED = ("Q4_K_M", "Q4_0", "Q4_K_S", "IQ4_XS", "Q5_K_M", "Q8_0", "Q6_K", "F16", "BF16")
"""Quantizations in the order in which one is taken where none is named."""
PROJECTORS = ("F16", "BF16", "Q8_0", "F32")
_PART = re.compile(r"-(\d{5})-of-(\d{5})$")
_QUANT = re.compile(
    r"(?:^|[-._/])((?:UD-)?(?:(?:IQ|TQ|Q)\d(?:_[A-Z0-9]+)*|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32))(?=$|[-._/])", re.I
)
_WEIGHTS_OF_OTHERS = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".onnx_data", ".tflite", ".ot")
_LONGEST_NAME = 240
"""Bytes of one name; ours, made by adding an ending, must still be allowed."""


def safe_path(path: str) -> bool:
    """Whether a file name that came from outside can only mean a file below the folder it is put into."""
    parts = path.split("/")
    return (
        path.isprintable()
        and not any(character in path for character in '\\:*?"<>|')
        and all(part not in {"", ".", ".."} and part == part.strip() for part in parts)
        and not path.endswith((".part", ".part.json"))
        and all(len(part.encode()) <= _LONGEST_NAME for part in parts)
    )


def quantization(path: str) -> str | None:
    """The quantization that a file's name tells, in capitals; failing that, its folder's."""
    name = PurePosixPath(path)
    for text in (_PART.sub("", name.stem), str(name.parent)):
        if found := _QUANT.findall(text):
            return str(found[-1]).upper().replace("FP16", "F16").replace("FP32", "F32")
    return None


def variants(files: Sequence[HubFile]) -> tuple[HubVariant, ...]:
    """The models in a repository, the one to take where none is named first.

    GGUF files are grouped by model, the parts of a split one and the projector of its images belonging to it. A
    repository without GGUF files is one model, called `all`, of its safetensors or whatever weights it has.
    """
    ggufs = [file for file in files if file.path.lower().endswith(".gguf") and "imatrix" not in file.path.lower()]
    projectors = [file for file in ggufs if "mmproj" in PurePosixPath(file.path).name.lower()]
    sets: dict[str, list[HubFile]] = {}
    for file in ggufs:
        if file not in projectors:
            sets.setdefault(_model(file.path), []).append(file)
    if not sets:
        whole = _whole(files)
        return (HubVariant(name="all", files=whole),) if whole else ()
    projector = min(projectors, key=_projector_rank, default=None)
    found = [_variant(stem, group, projector) for stem, group in sets.items()]
    return tuple(sorted(_named(found), key=_rank))


def choose(found: Sequence[HubVariant], name: str | None, repo: str) -> HubVariant:
    """The variant of that name, or the first. Raises `NotFound` naming what there is."""
    if not found:
        raise NotFound(f"There is no model in {repo}.", remedy="`footplate pull REPO/FILE` takes a single file.")
    if name is None:
        return found[0]
    for variant in found:
        if name.upper() in {variant.name.upper(), variant.quantization}:
            return variant
    names = ", ".join(variant.name for variant in found)
    raise NotFound(f"There is no {name} in {repo}.", remedy=f"There are: {names}.", param="variant")


def single(files: Iterable[HubFile], path: str, repo: str) -> HubVariant:
    """The variant that a file belongs to where that is split, else the file alone. Raises `NotFound`."""
    known = list(files)
    wanted = next((file for file in known if file.path == path), None)
    if wanted is None:
        raise NotFound(
            f"There is no file {path!r} in {repo}, or its name is not safe to use here.", remedy="Look at its spelling."
        )
    group = [file for file in known if _PART.search(PurePosixPath(path).stem) and _model(file.path) == _model(path)]
    return HubVariant(name=PurePosixPath(path).name, quantization=quantization(path), files=tuple(group or [wanted]))


def _model(path: str) -> str:
    """What the parts of a split file have in common: the path without the number and the ending."""
    name = PurePosixPath(path)
    return str(name.with_name(_PART.sub("", name.stem)))


def _variant(stem: str, group: list[HubFile], projector: HubFile | None) -> HubVariant:
    files = (*sorted(group, key=lambda file: file.path), *([projector] if projector else []))
    return HubVariant(name=PurePosixPath(stem).name, quantization=quantization(group[0].path), files=files)


def _named(found: list[HubVariant]) -> list[HubVariant]:
    """The variants called by their quantization where that tells them apart."""
    quants = [variant.quantization for variant in found]
    return [
        HubVariant(name=variant.quantization, quantization=variant.quantization, files=variant.files)
        if variant.quantization and quants.count(variant.quantization) == 1
        else variant
        for variant in found
    ]


def _rank(variant: HubVariant) -> tuple[int, int, str]:
    quant = variant.quantization
    place = PREFERRED.index(quant) if quant in PREFERRED else len(PREFERRED)
    return place, variant.size or 0, variant.name


def _projector_rank(file: HubFile) -> tuple[int, str]:
    quant = quantization(file.path)
    return PROJECTORS.index(quant) if quant in PROJECTORS else len(PROJECTORS), file.path


def _whole(files: Sequence[HubFile]) -> tuple[HubFile, ...]:
    kept = [file for file in files if not PurePosixPath(file.path).name.startswith(".")]
    if any(file.path.endswith(".safetensors") for file in kept):
        kept = [file for file in kept if not file.path.lower().endswith(_WEIGHTS_OF_OTHERS)]
        kept = [file for file in kept if not file.path.startswith(("original/", "consolidated"))]
    return tuple(kept)
