"""The plan against a real load, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.shape_model import write_model

from engine.errors import CorruptModel, InsufficientMemory, ModelLoadError
from engine.hardware.detect import detect
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.types import Hardware, LoadPlan, ModelEntry

ROOMY = Hardware(cores=1, threads=1, memory=8_000_000_000, memory_free=8_000_000_000)
LOADED = """
import json, sys
from engine.runtimes.llama_cpp.worker import LlamaBackend
facts = LlamaBackend().load(sys.argv[1], json.loads(sys.argv[2]), lambda fraction, stage: None)
print(json.dumps([facts.context, facts.slots, facts.memory]))
"""


def entry(path: Path) -> ModelEntry:
    return ModelEntry(id=path.stem, path=str(path), format="gguf", size=0)


def really(path: Path, plan: LoadPlan) -> tuple[int, int, int]:
    """Context, slots and bytes of a worker that loads `path` as planned."""
    command = [sys.executable, "-c", LOADED, str(path), json.dumps(plan.options)]
    context, slots, memory = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return context, slots, memory


@pytest.mark.parametrize(("width", "layers", "context"), [(64, 2, 512), (512, 12, 1024)])
def test_the_estimate_is_what_a_load_takes(tmp_path: Path, width: int, layers: int, context: int) -> None:
    path = write_model(tmp_path / "shape.gguf", width=width, layers=layers, context=context, scale=0.02)
    plan = LlamaSpec().plan(entry(path), ROOMY)
    loaded, slots, memory = really(path, plan)
    assert (loaded, slots) == (plan.context, plan.slots) == (context, 8)
    assert plan.memory == pytest.approx(memory, rel=0.1)


def test_the_plan_of_a_sliding_model_can_be_loaded(tmp_path: Path) -> None:
    path = write_model(tmp_path / "sliding.gguf", window=64, context=2048)
    plan = LlamaSpec().plan(entry(path), ROOMY)
    assert plan.options["swa_full"] is True
    assert really(path, plan)[0] == 2048


def test_wishes_and_reasons(tmp_path: Path) -> None:
    path = write_model(tmp_path / "shape.gguf", context=2048)
    plan = LlamaSpec().plan(entry(path), ROOMY, context=1024, slots=2, threads=3)
    assert (plan.context, plan.slots, plan.options["threads"]) == (1024, 2, 3)
    assert all(reason.endswith(".") for reason in plan.reasons)


def test_a_plan_for_this_machine(tmp_path: Path) -> None:
    plan = LlamaSpec().plan(entry(write_model(tmp_path / "shape.gguf")), detect())
    assert plan.context == 512 and plan.options["threads"] >= 1


def test_no_room_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(InsufficientMemory, match="50 MB are free"):
        LlamaSpec().plan(entry(write_model(tmp_path / "shape.gguf")), Hardware(memory_free=50_000_000))


def test_a_damaged_or_missing_file_has_no_plan(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(CorruptModel, match=r"broken\.gguf"):
        LlamaSpec().plan(entry(path), ROOMY)
    with pytest.raises(ModelLoadError, match=r"gone\.gguf"):
        LlamaSpec().plan(entry(tmp_path / "gone.gguf"), ROOMY)
