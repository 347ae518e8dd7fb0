"""The budget of saved prompts, and what is removed to keep it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.fleet.prefix_folder import MOST_DISK, PrefixFolder
from engine.settings import CacheSettings

NOBODY = 2**22 + 1
"""A process number that is over the kernel's limit."""


def state(folder: Path, name: str, *, used: int, size: int = 1000) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (used, used))
    return path


def pruned(folder: Path, gigabytes: float | None) -> None:
    PrefixFolder(folder, lambda: CacheSettings(prefix_disk_gb=gigabytes)).prune()


def test_the_least_lately_used_go_whosever_they_are(tmp_path: Path) -> None:
    old = state(tmp_path, "a/1.prefix", used=1)
    middle = state(tmp_path, "b/2.prefix", used=2)
    new = state(tmp_path, "a/3.prefix", used=3)
    pruned(tmp_path, 2500e-9)
    assert (old.exists(), middle.exists(), new.exists()) == (False, True, True)


def test_nothing_goes_that_fits(tmp_path: Path) -> None:
    path = state(tmp_path, "a/1.prefix", used=1)
    pruned(tmp_path, 1000e-9)
    pruned(tmp_path, None)
    assert path.exists()


def test_zero_empties_the_folder_of_states_and_of_nothing_else(tmp_path: Path) -> None:
    path, other = state(tmp_path, "a/1.prefix", used=1), state(tmp_path, "a/notes.txt", used=1)
    pruned(tmp_path, 0)
    assert not path.exists() and other.exists()


def test_leftovers_of_dead_writers_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead = state(tmp_path, f"a/1.prefix.{NOBODY}.part", used=1)
    living = state(tmp_path, f"a/1.prefix.{os.getpid()}.part", used=1)
    pruned(tmp_path, 1)
    assert not dead.exists() and living.exists()


def test_a_folder_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    pruned(tmp_path / "nowhere", 1)


def test_the_default_is_a_share_of_the_free_disk(tmp_path: Path) -> None:
    budget = PrefixFolder(tmp_path, CacheSettings).budget()
    assert 0 < budget <= MOST_DISK


def test_a_place_that_cannot_be_made_switches_saving_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    options = PrefixFolder(tmp_path / "file" / "prefixes", CacheSettings).options()
    assert options["prefix_disk"] == 0
    assert "in the way" in caplog.text or "prefixes" in caplog.text
