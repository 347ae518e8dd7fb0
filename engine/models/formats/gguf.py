"""What a GGUF file says of itself: its header, read without touching a tensor."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from engine.errors import CorruptModel
from engine.models.formats.gguf_stream import Cursor, Malformed, Value

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_MAX_KEYS = 1 << 16
_MAX_TENSORS = 1 << 18
_MAX_NAME = 1 << 16
_MAX_DIMENSIONS = 4
_SPLIT_NAME = re.compile(r"(.+)-\d{5}-of-(\d{5})\.gguf")

TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
}  # fmt: skip
"""Tensor types by number: name, elements per block, bytes per block (ggml's `ggml_type` and its block structs)."""

FILE_TYPES: dict[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4", 39: "NVFP4", 40: "Q1_0",
}  # fmt: skip
"""Names of `general.file_type` (llama.cpp's `llama_ftype`), as people write them."""


class GgufHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one GGUF file; `None` where the file does not say."""

    architecture: str
    name: str | None = None
    parameters: int
    """Elements of all tensors in this file."""
    quantization: str | None = None
    context_length: int | None = None
    """Tokens the model was trained for."""
    block_count: int | None = None
    embedding_length: int | None = None
    feed_forward_length: int | None = None
    """Width of the widest feed-forward layer; of one expert in a mixture."""
    heads: int | None = None
    kv_heads: tuple[int, ...] = ()
    """Key/value heads of each layer."""
    key_length: int | None = None
    value_length: int | None = None
    """Elements of one head's key and value."""
    sliding_window: int | None = None
    """Tokens a sliding-window layer looks back; `None` when no layer slides."""
    sliding_layers: tuple[bool, ...] = ()
    """Which layers slide, where the file lists them."""
    experts: int | None = None
    experts_used: int | None = None
    vocab_size: int | None = None
    pooling: int | None = None
    """How the tokens' states become one vector (llama.cpp's `llama_pooling_type`)."""
    causal: bool | None = None
    """Whether tokens see only what is before them."""
    has_template: bool = False
    split_count: int = 1
    """Files the model is spread over."""
    tensor_count: int
    tensor_bytes: int
    type_bytes: dict[str, int]
    """Bytes of tensor data by tensor type."""


def read_header(path: Path) -> GgufHeader:
    """Reads the header of the GGUF file at `path`.

    Raises `CorruptModel`, naming the file and the reason, when it is no GGUF file, is damaged, or ends before its
    tensors do; `OSError` when it cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        size = path.stat().st_size
        try:
            return _header(Cursor(file, size), size)
        except Malformed as reason:
            raise CorruptModel(
                f"{path.name} is not a usable GGUF file: {reason}.",
                meaning="The file is damaged, incomplete, or of another kind.",
                remedy=f"Download or convert it again ({path}).",
            ) from reason


def split_files(path: Path) -> list[Path]:
    """The files of the model that `path` is, or is the first part of; itself alone when it is not split.

    The parts are named `<stem>-00001-of-00005.gguf` as llama.cpp's splitter does. Raises what `read_header` raises.
    """
    count = read_header(path).split_count
    found = _SPLIT_NAME.fullmatch(path.name)
    if count == 1 or found is None:
        return [path]
    return [path.with_name(f"{found[1]}-{part:05}-of-{found[2]}.gguf") for part in range(1, count + 1)]


def _header(cursor: Cursor, size: int) -> GgufHeader:
    if size < len(MAGIC) or cursor.take(len(MAGIC)) != MAGIC:
        raise Malformed("it does not begin with the letters GGUF" if size else "it is empty")
    _check_version(cursor.u32())
    tensors, keys = cursor.u64(), cursor.u64()
    if tensors > _MAX_TENSORS or keys > _MAX_KEYS:
        raise Malformed(f"it claims {tensors} tensors and {keys} metadata keys")
    values: dict[str, Value] = {}
    for _ in range(keys):
        key = cursor.string(_MAX_NAME)
        values[key] = cursor.value(cursor.u32())
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise Malformed("it names no architecture")
    sizes = _tensors(cursor, tensors, _alignment(values), size)
    return _facts(architecture, values, sizes)


def _check_version(version: int) -> None:
    if version in VERSIONS:
        return
    if version & 0xFFFF == 0 and version:
        raise Malformed("it is written for big-endian machines")
    raise Malformed(f"its format version is {version}, and versions {VERSIONS[0]} and {VERSIONS[1]} are read")


def _alignment(values: dict[str, Value]) -> int:
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise Malformed("its alignment is no power of two")
    return alignment


class _Sizes(msgspec.Struct):
    """Sums over the tensors."""

    count: int
    elements: int = 0
    bytes: int = 0
    by_type: dict[str, int] = {}


def _tensors(cursor: Cursor, count: int, alignment: int, size: int) -> _Sizes:
    sums, end = _Sizes(count), 0
    for _ in range(count):
        name = cursor.string(_MAX_NAME)
        dimensions = cursor.u32()
        if dimensions > _MAX_DIMENSIONS:
            raise Malformed(f"tensor {name[:80]!r} claims {dimensions} dimensions")
        elements = 1
        for _ in range(dimensions):
            elements *= cursor.u64()
        kind, offset = cursor.u32(), cursor.u64()
        if offset % alignment:
            raise Malformed(f"tensor {name[:80]!r} is not aligned")
        label, block, block_bytes = TENSOR_TYPES.get(kind, (f"type {kind}", 1, 0))
        if elements % block:
            raise Malformed(f"tensor {name[:80]!r} has {elements} elements, no whole blocks of {label}")
        length = elements // block * block_bytes
        sums.elements += elements
        sums.bytes += length
        sums.by_type[label] = sums.by_type.get(label, 0) + length
        end = max(end, offset + length)
    start = -(-cursor.position // alignment) * alignment
    if count and start + end > size:
        raise Malformed(f"it is cut short: {size} of {start + end} bytes are there")
    return sums


def _facts(architecture: str, values: dict[str, Value], sizes: _Sizes) -> GgufHeader:
    def number(key: str) -> int | None:
        found = values.get(f"{architecture}.{key}")
        if isinstance(found, tuple):
            found = max((item for item in found if isinstance(item, int)), default=0)
        return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None

    name, template = values.get("general.name"), values.get("tokenizer.chat_template")
    blocks, heads, width = number("block_count"), number("attention.head_count"), number("embedding_length")
    head_width = width // heads if width and heads else None
    sliding = values.get(f"{architecture}.attention.sliding_window_pattern")
    splits = values.get("split.count")
    pooling, causal = values.get(f"{architecture}.pooling_type"), values.get(f"{architecture}.attention.causal")
    return GgufHeader(
        architecture=architecture,
        name=name if isinstance(name, str) and name else None,
        parameters=sizes.elements,
        quantization=_quantization(values, sizes),
        context_length=number("context_length"),
        block_count=blocks,
        embedding_length=width,
        feed_forward_length=number("feed_forward_length") or number("expert_feed_forward_length"),
        heads=heads,
        kv_heads=_kv_heads(values.get(f"{architecture}.attention.head_count_kv"), blocks or 0, heads),
        key_length=number("attention.key_length") or head_width,
        value_length=number("attention.value_length") or head_width,
        sliding_window=number("attention.sliding_window"),
        sliding_layers=tuple(bool(item) for item in sliding) if isinstance(sliding, tuple) else (),
        experts=number("expert_count"),
        experts_used=number("expert_used_count"),
        vocab_size=_vocab_size(values, number("vocab_size")),
        pooling=pooling if isinstance(pooling, int) else None,
        causal=causal if isinstance(causal, bool) else None,
        has_template=isinstance(template, str) and bool(template),
        split_count=splits if isinstance(splits, int) and splits > 1 else 1,
        tensor_count=sizes.count,
        tensor_bytes=sizes.bytes,
        type_bytes=sizes.by_type,
    )


def _kv_heads(found: Value | None, blocks: int, heads: int | None) -> tuple[int, ...]:
    if isinstance(found, tuple):
        return tuple(item for item in found if isinstance(item, int))
    each = found if isinstance(found, int) else heads
    return (each,) * min(blocks, 1 << 12) if each else ()


def _quantization(values: dict[str, Value], sizes: _Sizes) -> str | None:
    declared = values.get("general.file_type")
    if isinstance(declared, int) and declared in FILE_TYPES:
        return FILE_TYPES[declared]
    return max(sizes.by_type, key=lambda label: sizes.by_type[label], default=None)


def _vocab_size(values: dict[str, Value], declared: int | None) -> int | None:
    tokens = values.get("tokenizer.ggml.tokens")
    return len(tokens) if isinstance(tokens, tuple | range) and len(tokens) else declared
