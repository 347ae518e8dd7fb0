"""Loading with llama.cpp: what a worker says of a model, and of a file that is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.llama_backend import alone, load
from fixtures.shape_model import write_model

from engine.errors import CorruptModel, FootplateError, InternalError, ModelLoadError
from engine.runtimes.llama_cpp.worker import LlamaBackend


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "shape.gguf")


def refusal(path: Path, kind: type[FootplateError], **options: object) -> str:
    with pytest.raises(kind) as caught:
        load(path, **options)
    assert path.name in str(caught.value)
    return str(caught.value)


def test_progress_and_facts(model: Path) -> None:
    told: list[tuple[float, str]] = []
    options = {"n_ctx": 256, "n_seq": 3, "threads": 1, "notices": ["Mind the gap."]}
    facts = LlamaBackend().load(str(model), options, lambda fraction, stage: told.append((fraction, stage)))
    assert (facts.context, facts.slots, facts.device) == (256, 3, "CPU")
    assert facts.memory is not None and facts.memory > model.stat().st_size
    assert facts.load_s > 0
    assert facts.notices == ("Mind the gap.",)
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert told[-1][1] == "warming up"


@pytest.mark.parametrize("options", [{"mmap": False}, {"extra_bufts": False}, {"kv_type": "q8_0"}, {"n_cells": 512}])
def test_other_options_load_too(tmp_path: Path, options: dict[str, object]) -> None:
    model = write_model(tmp_path / "wide.gguf", width=128)
    assert len(alone(load(model, **options), "the hen").tokens) == 24


def test_unknown_options_are_a_fault_of_the_host(model: Path) -> None:
    with pytest.raises(InternalError, match="n_context"):
        load(model, n_context=3)


def test_a_missing_file(tmp_path: Path) -> None:
    refusal(tmp_path / "gone.gguf", ModelLoadError)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("Buy bread.\n" * 100)
    assert "GGUF" in refusal(path, CorruptModel)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.gguf"
    path.touch()
    refusal(path, CorruptModel)


def test_a_file_cut_short(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(model.read_bytes()[:-1000])
    assert "cut short" in refusal(path, CorruptModel)


def test_an_architecture_nobody_knows(tmp_path: Path) -> None:
    path = write_model(tmp_path / "odd.gguf", architecture="perpetuum")
    assert "'perpetuum'" in refusal(path, ModelLoadError)


def test_a_tensor_that_is_missing(tmp_path: Path) -> None:
    path = write_model(tmp_path / "hole.gguf", omit="blk.1.ffn_up.weight")
    assert "blk.1.ffn_up.weight" in refusal(path, CorruptModel)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS lets no process limit its own address space")
def test_more_cache_than_there_is_memory(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf", context=1 << 20, width=1024)
    script = (
        "import resource, sys; from engine.runtimes.llama_cpp.worker import LlamaBackend;"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30));"
        "LlamaBackend().load(sys.argv[1], {'threads': 1, 'n_ctx': 1 << 20}, lambda f, s: None)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "InsufficientMemory: There is not enough memory to load model.gguf" in done.stderr


def test_a_failed_load_leaves_the_worker_able_to_load(model: Path, tmp_path: Path) -> None:
    refusal(write_model(tmp_path / "hole.gguf", omit="blk.0.attn_q.weight"), CorruptModel)
    assert alone(load(model), "the").tokens


def test_a_probe_computes_a_prompt_and_names_the_features(model: Path) -> None:
    found = LlamaBackend().probe(str(model), {"n_ctx": 256, "threads": 1})
    assert found.library.startswith("llama-cpp-python ")
    assert "CPU" in found.devices
    assert all(feature.replace("_", "").isalnum() for feature in found.features)


def test_the_library_writes_nothing_to_standard_output(model: Path) -> None:
    script = (
        "import sys; from engine.runtimes.llama_cpp.worker import LlamaBackend;"
        "LlamaBackend().load(sys.argv[1], {'threads': 1}, lambda f, s: None)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(model)], capture_output=True, env=os.environ, check=True)
    assert done.stdout == b""
