"""What a worker says on stderr is kept in bounds; a probe's crash is an answer."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest
from fixtures.waiting import until
from workers import MODULE, ask, collect, running

from engine.errors import WorkerDied
from engine.types import WorkerState
from engine.worker.probe import ProbeFailed, probe
from engine.worker.process import environment, how_it_ended
from engine.worker.protocol import Probed
from engine.worker.stderr_log import BACKUPS, StderrLog


def test_the_log_rotates_and_stays_in_bounds(tmp_path: Path) -> None:
    log = StderrLog(tmp_path / "logs" / "worker.log", max_bytes=2000)
    for number in range(500):
        log.write(f"line {number}\n".encode())
    log.close()
    files = sorted((tmp_path / "logs").iterdir())
    assert len(files) == 1 + BACKUPS
    assert all(file.stat().st_size <= 2000 for file in files)
    assert (tmp_path / "logs" / "worker.log").read_text().endswith("line 499\n")


def test_lines_cut_anywhere_are_put_together_and_what_could_steer_a_terminal_is_taken_out(tmp_path: Path) -> None:
    log = StderrLog(tmp_path / "worker.log")
    for part in (b"one\ntw", b"o \xc3", b"\xbc\n\n\x1b[31mred\x07\xff", b"x" * 20_000, b"\nlast"):
        log.write(part)
    assert log.tail().startswith("one / two ü /  [31mred \ufffd")
    log.close()
    assert log.tail().endswith("/ last")
    assert "\x1b" not in (tmp_path / "worker.log").read_text()


async def test_the_last_words_of_a_worker_are_in_its_log_and_in_the_error(tmp_path: Path) -> None:
    script = '[[replies]]\nmatch = "go"\ntext = "x"\nfault = "fatal"\n'
    async with running(tmp_path, script) as handle:
        with pytest.raises(WorkerDied):
            await collect(handle, ask("go"))
        await until(lambda: handle.info.state is WorkerState.CRASHED)
    assert handle.info.error is not None
    assert "RuntimeError" in handle.info.error.meaning
    assert str(tmp_path / "test.log") in handle.info.error.remedy
    assert "Traceback" in (tmp_path / "test.log").read_text()


def test_keys_and_tokens_are_not_passed_on() -> None:
    passed = environment(
        {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0", "FOOTPLATE_API_KEY": "k", "HF_TOKEN": "t", "LC_ALL": "C"},
        memory_limit=7,
    )
    assert {"PATH", "CUDA_VISIBLE_DEVICES", "LC_ALL"} <= passed.keys()
    assert passed["FOOTPLATE_WORKER_MEMORY_LIMIT"] == "7"
    assert not {"FOOTPLATE_API_KEY", "HF_TOKEN"} & passed.keys()


def test_what_the_user_set_for_the_libraries_stays() -> None:
    wish = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1", "OMP_WAIT_POLICY": "passive"}
    assert environment(wish) == wish


def test_an_end_has_words() -> None:
    assert how_it_ended(-9) == "was ended by SIGKILL"
    assert "template" in how_it_ended(-signal.SIGVTALRM)
    assert how_it_ended(3) == "ended with exit code 3"
    assert how_it_ended(-250) == "was ended by signal 250"


async def run_probe(folder: Path, script: str, time_limit_s: float = 60) -> Probed | ProbeFailed:
    path = folder / "test.scripted.toml"
    path.write_text(script)
    return await probe(MODULE, str(path), {}, log=folder / "probe.log", time_limit_s=time_limit_s)


async def test_a_probe_says_what_it_found(tmp_path: Path) -> None:
    found = await run_probe(tmp_path, "")
    assert isinstance(found, Probed)
    assert found.features == ("SCRIPT",)


@pytest.mark.parametrize(
    ("fault", "signal_name", "code"),
    [("crash", "SIGABRT", "worker_died"), ("garbage", None, "worker_died"), ("error", None, "model_load_failed")],
)
async def test_a_probe_that_fails_says_how(tmp_path: Path, fault: str, signal_name: str | None, code: str) -> None:
    found = await run_probe(tmp_path, f'load_fault = "{fault}"')
    assert isinstance(found, ProbeFailed)
    assert (found.signal, found.error.code, found.timed_out) == (signal_name, code, False)


async def test_a_probe_that_hangs_is_killed(tmp_path: Path) -> None:
    found = await run_probe(tmp_path, 'load_fault = "deaf"', time_limit_s=2)
    assert isinstance(found, ProbeFailed)
    assert found.timed_out
    assert found.signal is None
    assert not psutil.Process().children()
