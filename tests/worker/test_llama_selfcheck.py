"""The proof of the fast kernels: children that really live, die and fail, and what becomes of the plan."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from fixtures.shape_model import write_model

from engine.errors import WorkerDied
from engine.runtimes.llama_cpp import selfcheck
from engine.runtimes.llama_cpp.options import Options
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.types import Hardware, LoadPlan
from engine.worker.probe import ProbeFailed

FAKE = "fixtures.crashing_runtime"
"""Its probe fails as the model's name says."""
TESTS = Path(__file__).parents[1]
HARDWARE = Hardware(cpu="Xeon", features=("amx_int8", "avx2"))
PLAN = LoadPlan(runtime="llama_cpp", context=4096, slots=4, memory=1, options=msgspec.to_builtins(Options(n_ctx=4096)))


@pytest.fixture(autouse=True)
def _children_find_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


async def prove(folder: Path, model: str | Path, *, module: str = FAKE, wish: bool | None = None) -> LoadPlan:
    return await selfcheck.prove(
        PLAN, module=module, model=Path(model), hardware=HARDWARE, cache=folder / "cache", log=folder / "log", wish=wish
    )


async def test_kernels_that_live_are_used(tmp_path: Path) -> None:
    assert await prove(tmp_path, "fine") == PLAN
    assert len(list((tmp_path / "cache").iterdir())) == 1


async def test_kernels_that_crash_are_switched_off_with_a_cure(tmp_path: Path) -> None:
    found = await prove(tmp_path, "crash")
    assert found.options["extra_bufts"] is False
    (notice,) = found.options["notices"]
    assert "make clean install" in notice and "CMAKE_ARGS=-DCMAKE_CXX_FLAGS=-fno-dse" in notice
    assert found.reasons
    assert msgspec.convert(found.options, Options).n_ctx == 4096


async def test_a_verdict_is_found_out_once(tmp_path: Path) -> None:
    crashed = await prove(tmp_path, "crash")
    assert await prove(tmp_path, "fine") == crashed


async def test_a_damaged_verdict_is_found_out_again(tmp_path: Path) -> None:
    await prove(tmp_path, "crash")
    (verdict,) = (tmp_path / "cache").iterdir()
    verdict.write_text("{")
    assert await prove(tmp_path, "fine") == PLAN


async def test_a_model_that_does_not_load_proves_nothing(tmp_path: Path) -> None:
    assert await prove(tmp_path, "damaged") == PLAN
    assert not (tmp_path / "cache").exists()


def test_a_child_killed_from_outside_proves_nothing() -> None:
    error = WorkerDied("gone").info
    assert selfcheck.judge(ProbeFailed(error=error, signal="SIGKILL")) is None
    assert selfcheck.judge(ProbeFailed(error=error, timed_out=True)) is None
    verdict = selfcheck.judge(ProbeFailed(error=error, signal="SIGILL"))
    assert verdict is not None and not verdict.fast


@pytest.mark.parametrize("wish", [True, False])
async def test_the_setting_is_taken_without_a_check(tmp_path: Path, wish: bool) -> None:
    found = await prove(tmp_path, tmp_path / "absent", wish=wish)
    assert found.options["extra_bufts"] is wish
    assert not (tmp_path / "log").exists()


async def test_the_real_library_is_tried_for_real(tmp_path: Path) -> None:
    model = write_model(tmp_path / "shape.gguf")
    found = await prove(tmp_path, model, module=LlamaSpec.worker_module)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert found.options["n_ctx"] == 4096


def test_another_library_or_processor_is_another_case(tmp_path: Path) -> None:
    library = tmp_path / "libggml-cpu.so"
    library.write_text("a")
    first = selfcheck.fingerprint("1", [library], HARDWARE)
    assert first == selfcheck.fingerprint("1", [library], HARDWARE)
    assert first != selfcheck.fingerprint("2", [library], HARDWARE)
    assert first != selfcheck.fingerprint("1", [library], Hardware(cpu="Xeon", features=("avx2",)))
    os.utime(library, ns=(1, 1))
    assert first != selfcheck.fingerprint("1", [library], HARDWARE)
