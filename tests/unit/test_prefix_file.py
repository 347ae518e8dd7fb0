"""A saved state that was cut short or changed anywhere is never taken for what was saved."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from engine.runtimes.llama_cpp.prefixes import file
from engine.runtimes.llama_cpp.prefixes.file import Damaged
from engine.runtimes.llama_cpp.prefixes.shelf import Shelf

TOKENS = np.arange(5, dtype=np.int32)
STATE = np.arange(100, dtype=np.uint8)
KEY = "model"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / file.name_for(TOKENS)
    file.write(path, KEY, TOKENS, STATE)
    return path


def test_a_file_that_ends_anywhere_too_early_is_dropped_at_the_start(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for length in range(len(whole)):
        saved.write_bytes(whole[:length])
        with pytest.raises(Damaged):
            file.read(saved, KEY)
        assert not list(Shelf(tmp_path, KEY, disk=10_000, memory=0).matches(TOKENS))
        assert not saved.exists()


def test_a_file_whose_end_never_reached_the_disk_is_dropped_when_it_is_read(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for length in range(len(whole)):
        saved.write_bytes(whole[:length] + bytes(len(whole) - length))
        shelf = Shelf(tmp_path, KEY, disk=10_000, memory=0)
        for entry, _ in list(shelf.matches(TOKENS)):
            state = shelf.fetch(entry)
            assert state is None or saved.read_bytes() == whole
        assert saved.read_bytes() == whole if saved.exists() else True


def test_no_changed_byte_is_overlooked(saved: Path) -> None:
    whole = saved.read_bytes()
    for place in range(len(whole)):
        saved.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        with suppress(Damaged):
            tokens, state = file.read(saved, KEY)
            assert np.array_equal(tokens, TOKENS) and np.array_equal(state, STATE)


def test_a_write_that_is_cut_off_leaves_the_older_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after SIGKILL: nothing of the writer's own runs any more, and its file stays behind under another name."""

    class Killed(BaseException):
        pass

    def die(*_arguments: object) -> None:
        raise Killed

    whole = saved.read_bytes()
    for place in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, place, die) if place == "fsync" else patched.setattr(Path, place, die)
            with pytest.raises(Killed):
                file.write(saved, KEY, TOKENS, STATE[::-1].copy())
        assert saved.read_bytes() == whole
        (part,) = saved.parent.glob(f"*{file.PART}")
        shelf = Shelf(saved.parent, KEY, disk=10_000, memory=0)
        assert [entry.path for entry, _ in shelf.matches(TOKENS)] == [saved]
        part.unlink()
