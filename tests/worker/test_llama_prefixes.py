"""Saved prefixes of the llama.cpp backend: after unloading, after eviction, and with files that were tampered with."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.hybrid_model import write_hybrid
from fixtures.llama_backend import Outcome, alone, load
from fixtures.shape_model import write_model

from engine.runtimes.llama_cpp.prefixes import file
from engine.runtimes.llama_cpp.worker import LlamaBackend

LONG = "".join(f"{number} hens in the north and {number * 7} in the inn; " for number in range(13))
OTHER = "".join(f"an otter {number} tests the ear of {number * 3} ants. " for number in range(9))
MB = 1_000_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "shape.gguf", context=1024)


def saving(path: Path, folder: Path, **options: Any) -> LlamaBackend:
    """A backend that finds every prefix worth saving."""
    wishes = {"n_ctx": 1024, "prefix_folder": str(folder), "prefix_disk": 50 * MB, "prefix_memory": 50 * MB}
    return load(path, **wishes | {"prefix_least_s": 0.0} | options)


def rest(backend: LlamaBackend) -> None:
    """Lets the housekeeping come to its end."""
    end = time.monotonic() + 20
    while (pause := backend.rest()) is not None:
        assert time.monotonic() < end, "the housekeeping does not end"
        time.sleep(pause)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*/*{file.SUFFIX}"))


def fresh(path: Path, text: str, **options: Any) -> Outcome:
    """What `text` gives where nothing was saved."""
    return alone(load(path, n_ctx=1024, **options), text)


def saved(path: Path, folder: Path, text: str = LONG, max_tokens: int = 24, **options: Any) -> Outcome:
    """Computes a prompt in a worker that is then told to end."""
    backend = saving(path, folder, **options)
    done = alone(backend, text, max_tokens=max_tokens)
    backend.finish(10)
    return done


def test_a_prompt_is_not_computed_again_after_unloading(model: Path, tmp_path: Path) -> None:
    before = saved(model, tmp_path)
    backend = saving(model, tmp_path)
    after = alone(backend, LONG)
    assert (before.cached, after.cached) == (0, len(backend.vocabulary.encode(LONG, special=True)) - 1)
    assert before.tokens == after.tokens == fresh(model, LONG).tokens


def test_the_beginning_of_a_longer_state_serves_a_prompt_that_shares_it(model: Path, tmp_path: Path) -> None:
    saved(model, tmp_path)
    backend = saving(model, tmp_path)
    head = LONG[: len(LONG) // 2]
    shared = len(backend.vocabulary.encode(head, special=True))
    done = alone(backend, head + OTHER)
    assert shared - 2 <= done.cached <= shared
    assert done.tokens == fresh(model, head + OTHER).tokens


def test_states_are_written_at_rest_and_found_after_a_crash(model: Path, tmp_path: Path) -> None:
    backend = saving(model, tmp_path)
    alone(backend, LONG)
    rest(backend)
    assert len(files(tmp_path)) == 1
    assert alone(saving(model, tmp_path), LONG).cached > 300


def test_files_and_folders_are_private(model: Path, tmp_path: Path) -> None:
    saved(model, tmp_path)
    (path,) = files(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_state_that_left_its_slot_comes_back_from_memory(model: Path) -> None:
    backend = saving(model, Path(), prefix_folder="", n_seq=1)
    before = alone(backend, LONG)
    alone(backend, OTHER)
    after = alone(backend, LONG)
    assert after.cached > 300 and after.tokens == before.tokens


def test_without_a_budget_nothing_is_saved(model: Path, tmp_path: Path) -> None:
    saved(model, tmp_path, prefix_disk=0)
    assert not files(tmp_path)
    backend = saving(model, tmp_path, prefix_disk=0, prefix_memory=0, n_seq=1)
    alone(backend, LONG)
    alone(backend, OTHER)
    assert alone(backend, LONG).cached <= 2


def test_short_prefixes_are_computed(model: Path, tmp_path: Path) -> None:
    saved(model, tmp_path, prefix_least_s=60.0)
    assert not files(tmp_path)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5)


def lengthen(path: Path) -> None:
    with path.open("ab") as out:
        out.write(b"more")


def behead(path: Path) -> None:
    path.write_bytes(b"x" * 16 + path.read_bytes()[16:])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def exchange_token(path: Path) -> None:
    """Another token in the head, which the index believes until the file is read whole."""
    _head, tokens = file.read_head(path, path.parent.name)
    data = path.read_bytes()
    start = data.index(tokens.tobytes())
    path.write_bytes(data[: start + 4] + np.int32(77).tobytes() + data[start + 8 :])


@pytest.mark.parametrize("damage", [flip, shorten, lengthen, behead, empty, exchange_token])
def test_a_damaged_file_is_dropped(model: Path, tmp_path: Path, damage: Any) -> None:
    before = saved(model, tmp_path)
    (path,) = files(tmp_path)
    damage(path)
    backend = saving(model, tmp_path)
    after = alone(backend, LONG)
    assert after.cached <= 2 and after.tokens == before.tokens
    if damage is not exchange_token:
        assert not path.exists()


def test_a_file_of_another_model_is_dropped(model: Path, tmp_path: Path) -> None:
    saved(model, tmp_path / "cache")
    (path,) = files(tmp_path / "cache")
    twin = write_model(tmp_path / "twin.gguf", context=1024, scale=0.36)
    saved(twin, tmp_path / "cache", OTHER)
    (theirs,) = [folder for folder in (tmp_path / "cache").iterdir() if folder != path.parent]
    misplaced = theirs / path.name
    shutil.copy(path, misplaced)
    done = alone(saving(twin, tmp_path / "cache"), LONG)
    assert done.cached <= 2 and done.tokens == fresh(twin, LONG).tokens
    assert not misplaced.exists()


def test_a_moved_model_keeps_its_states_and_a_changed_one_does_not(model: Path, tmp_path: Path) -> None:
    saved(model, tmp_path)
    moved = tmp_path / "elsewhere.gguf"
    shutil.copy2(model, moved)
    assert alone(saving(moved, tmp_path), LONG).cached > 300
    os.utime(moved, (1, 1))
    assert alone(saving(moved, tmp_path), LONG).cached == 0


def test_states_of_another_layout_are_left_alone(tmp_path: Path) -> None:
    path = write_model(tmp_path / "wide.gguf", context=1024, width=128)
    saved(path, tmp_path)
    assert alone(saving(path, tmp_path, kv_type="q8_0"), LONG).cached == 0
    assert alone(saving(path, tmp_path), LONG).cached > 300


def test_the_disk_budget_holds_and_the_oldest_go(model: Path, tmp_path: Path) -> None:
    saved(model, tmp_path)
    size = files(tmp_path)[0].stat().st_size
    budget = size * 5 // 2
    for text in (OTHER, "z" * 400, "y" * 400):
        saved(model, tmp_path, text, prefix_disk=budget)
    assert sum(path.stat().st_size for path in files(tmp_path)) <= budget
    backend = saving(model, tmp_path, prefix_disk=budget)
    assert alone(backend, "y" * 400).cached > 300
    assert alone(backend, LONG).cached <= 2


def test_more_slots_than_the_budget_holds_do_not_write_for_ever(model: Path, tmp_path: Path) -> None:
    backend = saving(model, tmp_path, n_seq=4, prefix_disk=300_000)
    for text in (LONG, OTHER, "z" * 400):
        alone(backend, text)
    rest(backend)
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 300_000


def test_a_longer_state_replaces_its_own_beginning(model: Path, tmp_path: Path) -> None:
    saved(model, tmp_path, LONG, max_tokens=1)
    saved(model, tmp_path, LONG + OTHER)
    assert len(files(tmp_path)) == 1


def test_a_folder_that_cannot_be_written_costs_the_cache_alone(model: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    before = saved(model, tmp_path / "cache")
    assert before.tokens == fresh(model, LONG).tokens


def test_full_kv_cache_makes_room_for_a_restored_state(model: Path, tmp_path: Path) -> None:
    saved(model, tmp_path)
    backend = saving(model, tmp_path, n_seq=3, n_cells=1024)
    for text in (OTHER, "z" * 400):
        alone(backend, text)
    done = alone(backend, LONG)
    assert done.cached > 300 and done.tokens == fresh(model, LONG).tokens


def test_a_sliding_model_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    path = write_model(tmp_path / "sliding.gguf", context=1024, window=64)
    before = saved(path, tmp_path, swa_full=True)
    backend = saving(path, tmp_path, swa_full=True)
    after = alone(backend, LONG)
    assert len(LONG) // 2 < after.cached < len(backend.vocabulary.encode(LONG, special=True)) - 10
    assert before.tokens == after.tokens == fresh(path, LONG, swa_full=True).tokens


def test_a_hybrid_model_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    path = write_hybrid(tmp_path / "hybrid.gguf")
    before = saved(path, tmp_path)
    backend = saving(path, tmp_path)
    after = alone(backend, LONG)
    assert 300 < after.cached < len(backend.vocabulary.encode(LONG, special=True)) - 10
    assert before.tokens == after.tokens == fresh(path, LONG).tokens


def test_a_replayed_answer_that_differs_costs_a_hybrid_model_the_answer_alone(tmp_path: Path) -> None:
    backend = saving(write_hybrid(tmp_path / "hybrid.gguf"), tmp_path)
    alone(backend, LONG)
    replayed = LONG + " the answer, spelled anew; " + OTHER[:40]
    done = alone(backend, replayed)
    assert done.cached > 300
    assert done.tokens == fresh(tmp_path / "hybrid.gguf", replayed).tokens


@pytest.mark.parametrize("kind", ["hybrid", "sliding"])
def test_a_beginning_that_two_prompts_shared_is_kept_for_the_third(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.gguf"
    if kind == "hybrid":
        write_hybrid(path)
    else:
        write_model(path, context=1024, window=64)
    texts = [LONG + f"{number} " * 40 for number in (1, 2, 3)]
    for text in texts[:2]:
        saved(path, tmp_path, text, swa_full=True)
    done = alone(saving(path, tmp_path, swa_full=True), texts[2])
    assert done.cached > 300
    assert done.tokens == fresh(path, texts[2], swa_full=True).tokens


def test_a_state_that_is_larger_than_the_context_now_is_passed_over(model: Path, tmp_path: Path) -> None:
    saved(model, tmp_path, LONG)
    backend = saving(model, tmp_path, n_ctx=128, n_seq=1)
    done = alone(backend, LONG[:100])
    assert done.cached == 0 and done.tokens == alone(load(model, n_ctx=128, n_seq=1), LONG[:100]).tokens
