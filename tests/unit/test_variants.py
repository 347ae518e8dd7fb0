"""What of a repository makes one model, and which file names are safe."""

from __future__ import annotations

import pytest

from engine.errors import NotFound
from engine.models.variants import choose, quantization, safe_path, single, variants
from engine.types import HubFile, HubVariant


def files(*paths: str) -> list[HubFile]:
    return [HubFile(path=path, size=10 + place) for place, path in enumerate(paths)]


def paths(variant: HubVariant) -> list[str]:
    return [file.path for file in variant.files]


@pytest.mark.parametrize(
    ("path", "quant"),
    [
        ("Qwen3-8B-Q4_K_M.gguf", "Q4_K_M"),
        ("qwen2-0.5b-q8_0.gguf", "Q8_0"),
        ("m.IQ3_XXS.gguf", "IQ3_XXS"),
        ("gemma-UD-Q2_K_XL.gguf", "UD-Q2_K_XL"),
        ("gpt-oss-20b-MXFP4.gguf", "MXFP4"),
        ("model-fp16.gguf", "F16"),
        ("BF16/model-00001-of-00003.gguf", "BF16"),
        ("Q6_K/model-Q4_0-00001-of-00002.gguf", "Q4_0"),
        ("Q2-model.gguf", "Q2"),
        ("plain.gguf", None),
    ],
)
def test_the_quantization_is_read_from_the_name(path: str, quant: str | None) -> None:
    assert quantization(path) == quant


def test_parts_and_the_projector_belong_to_a_model_and_the_preferred_one_is_first() -> None:
    found = variants(
        files(
            "README.md",
            "Q8_0/m-Q8_0-00002-of-00002.gguf",
            "Q8_0/m-Q8_0-00001-of-00002.gguf",
            "m-Q4_K_M.gguf",
            "m-Q2_K.gguf",
            "mmproj-m-F32.gguf",
            "mmproj-m-F16.gguf",
            "m.imatrix.gguf",
        )
    )
    assert [variant.name for variant in found] == ["Q4_K_M", "Q8_0", "Q2_K"]
    assert paths(found[0]) == ["m-Q4_K_M.gguf", "mmproj-m-F16.gguf"]
    assert paths(found[1])[:2] == ["Q8_0/m-Q8_0-00001-of-00002.gguf", "Q8_0/m-Q8_0-00002-of-00002.gguf"]
    assert found[0].size == 13 + 16


def test_two_models_of_one_quantization_go_by_their_names() -> None:
    found = variants(files("big-Q4_0.gguf", "small-Q4_0.gguf"))
    assert [variant.name for variant in found] == ["big-Q4_0", "small-Q4_0"]
    assert paths(choose(found, "SMALL-q4_0", "me/x")) == ["small-Q4_0.gguf"]


def test_a_repository_without_gguf_is_one_model_without_twins_of_its_weights() -> None:
    found = variants(files(".gitattributes", "config.json", "model.safetensors", "pytorch_model.bin", "onnx/m.onnx"))
    assert [variant.name for variant in found] == ["all"]
    assert paths(found[0]) == ["config.json", "model.safetensors"]


def test_a_miss_names_what_there_is() -> None:
    found = variants(files("m-Q4_0.gguf", "m-Q8_0.gguf"))
    with pytest.raises(NotFound, match=r"no Q3_K in me/x\. There are: Q4_0, Q8_0"):
        choose(found, "Q3_K", "me/x")
    with pytest.raises(NotFound, match="no model in me/x"):
        choose([], None, "me/x")
    with pytest.raises(NotFound, match=r"other\.gguf"):
        single(files("m.gguf"), "other.gguf", "me/x")


def test_a_named_file_comes_with_the_other_parts() -> None:
    known = files("m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "n-00001-of-00002.gguf", "config.json")
    assert paths(single(known, "m-00002-of-00002.gguf", "r")) == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    assert paths(single(known, "config.json", "r")) == ["config.json"]


@pytest.mark.parametrize("path", ["a.gguf", "sub/folder/a b.gguf", "ünïcode.gguf", ".gitattributes", "a..b"])
def test_ordinary_names_are_safe(path: str) -> None:
    assert safe_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../../b",
        "a//b",
        "./a",
        "a/.",
        "..\\a",
        "C:\\a",
        "C:a",
        "a\0b",
        "a\nb",
        "a\x1b[2Jb",
        "a\u202eb",
        "x.gguf.part",
        "x.gguf.part.json",
        "n" * 250,
        "a/ /b",
        "a ",
    ],
)
def test_names_that_could_mean_another_place_are_not(path: str) -> None:
    assert not safe_path(path)
