"""The header of a GGUF file: what it tells, and that nothing in it is believed unchecked."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import gguf
import pytest
from fixtures.shape_model import write_model
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import CorruptModel
from engine.models.formats.gguf import FILE_TYPES, TENSOR_TYPES, GgufHeader, read_header, split_files

SECONDS = 2.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "shape.gguf", context=1536)


def refusal(path: Path) -> str:
    with pytest.raises(CorruptModel) as caught:
        read_header(path)
    assert path.name in str(caught.value)
    return str(caught.value)


def test_the_facts(model: Path) -> None:
    found = read_header(model)
    reader = gguf.GGUFReader(model)
    assert found == GgufHeader(
        architecture="llama",
        name="Random shape",
        parameters=sum(int(tensor.n_elements) for tensor in reader.tensors),
        quantization="F32",
        context_length=1536,
        block_count=2,
        embedding_length=64,
        feed_forward_length=128,
        heads=4,
        kv_heads=(2, 2),
        key_length=16,
        value_length=16,
        vocab_size=266,
        has_template=True,
        tensor_count=len(reader.tensors),
        tensor_bytes=sum(int(tensor.n_bytes) for tensor in reader.tensors),
        type_bytes={"F32": sum(int(tensor.n_bytes) for tensor in reader.tensors)},
    )


def test_layers_that_differ_and_windows(tmp_path: Path) -> None:
    def layers(writer: gguf.GGUFWriter) -> None:
        writer.add_array("llama.attention.head_count_kv", [4, 0, 2])
        writer.add_sliding_window(128)
        writer.add_sliding_window_pattern([True, False, True])
        writer.add_expert_count(8)
        writer.add_expert_used_count(2)

    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(3)
    layers(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_header(path)
    assert (found.kv_heads, found.sliding_window, found.sliding_layers) == ((4, 0, 2), 128, (True, False, True))
    assert (found.experts, found.experts_used, found.quantization, found.has_template) == (8, 2, None, False)


def test_the_type_of_most_bytes_names_the_quantization_where_the_file_does_not(tmp_path: Path) -> None:
    found = read_header(write_model(tmp_path / "m.gguf", metadata=lambda writer: writer.add_file_type(1024)))
    assert found.quantization == "F32"


def test_the_tables_are_ggml_s_own() -> None:
    sizes = {int(kind): (kind.name, *gguf.GGML_QUANT_SIZES[kind]) for kind in gguf.GGML_QUANT_SIZES}
    assert {kind: TENSOR_TYPES.get(kind) for kind in sizes} == sizes
    assert set(FILE_TYPES) == {int(kind) for kind in gguf.LlamaFileType} - {int(gguf.LlamaFileType.GUESSED)}


def test_a_split_model_names_its_parts(tmp_path: Path) -> None:
    first = tmp_path / "big-00001-of-00003.gguf"
    write_model(first, metadata=lambda writer: writer.add_uint16("split.count", 3))
    assert [path.name for path in split_files(first)] == [f"big-0000{part}-of-00003.gguf" for part in (1, 2, 3)]


def test_a_model_in_one_file_is_its_only_part(model: Path) -> None:
    assert split_files(model) == [model]


@pytest.mark.parametrize("cut", [0, 3, 4, 8, 20, 100, 3000, -1])
def test_a_file_cut_anywhere_is_refused(model: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(model.read_bytes()[:cut])
    refusal(path)


def test_a_big_endian_file_is_named_as_such(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "big.gguf"
    path.write_bytes(b"GGUF" + struct.pack(">I", 3) + model.read_bytes()[8:])
    assert "big-endian" in refusal(path)


@pytest.mark.parametrize(("version", "word"), [(1, "version is 1"), (4, "version is 4")])
def test_other_versions_are_refused(model: Path, tmp_path: Path, version: int, word: str) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<I", version) + model.read_bytes()[8:])
    assert word in refusal(path)


def header(*, tensors: int = 0, keys: bytes = b"", count: int = 1) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, count) + keys


def key(name: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind) + value


MISALIGNED = struct.pack("<QIQIQ", 0, 1, 8, 0, 7)
"""A nameless tensor of 8 floats at offset 7."""


@pytest.mark.parametrize(
    "content",
    [
        header(tensors=1 << 60),
        header(count=1 << 60),
        header(keys=key("general.name", 8, struct.pack("<Q", 1 << 62))),
        header(keys=key("tokens", 9, struct.pack("<IQ", 8, 1 << 62))),
        header(keys=key("tokens", 9, struct.pack("<IQ", 4, 1 << 62))),
        header(keys=key("tokens", 9, struct.pack("<IQ", 9, 1 << 62))),
        header(keys=key("tokens", 9, struct.pack("<IQ", 9, 1) * 100_000)),
        header(keys=key("x", 77, b"")),
        header(keys=key("general.architecture", 8, struct.pack("<Q", 5) + b"llama") + MISALIGNED, tensors=1),
    ],
    ids=["tensors", "keys", "string", "strings", "numbers", "arrays", "nesting", "type", "alignment"],
)
def test_absurd_numbers_are_refused_at_once(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "absurd.gguf"
    path.write_bytes(content)
    refusal(path)


def test_zeros_without_end_are_not_read_as_strings_without_end(tmp_path: Path) -> None:
    path = tmp_path / "zeros.gguf"
    path.write_bytes(header(keys=key("tokens", 9, struct.pack("<IQ", 8, 1 << 40))))
    with path.open("r+b") as file:
        file.truncate(1 << 36)  # sparse
    refusal(path)


def read_bytes(content: bytes) -> GgufHeader | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzzed.gguf"
        path.write_bytes(content)
        try:
            return read_header(path)
        except CorruptModel:
            return None


@settings(max_examples=150, deadline=SECONDS * 1000)
@given(st.binary(max_size=400), st.sampled_from([b"", b"GGUF", b"GGUF\x03\0\0\0", header(count=3)]))
def test_any_bytes_are_a_model_or_corrupt(content: bytes, start: bytes) -> None:
    read_bytes(start + content)


@settings(max_examples=250, deadline=SECONDS * 1000)
@given(data=st.data())
def test_a_damaged_model_is_a_model_or_corrupt(model: Path, data: st.DataObject) -> None:
    content = bytearray(model.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 8000))
        content[at : at + 1] = data.draw(st.binary(min_size=1, max_size=9))
    found = read_bytes(bytes(content))
    assert found is None or found.architecture
