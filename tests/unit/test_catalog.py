from __future__ import annotations

from pathlib import Path

import pytest

from engine.bus import Bus
from engine.errors import ModelNotFound
from engine.events import ActiveModelChanged, ModelsChanged, Snapshot
from engine.models.catalog import Catalog
from engine.runtimes.registry import specs
from engine.types import HostStatus

STATUS = HostStatus(version="1", pid=1, started=0.0, serve=False, home="/", active_model="guide")


def catalog(*folders: Path, bus: Bus | None = None, active: str = "guide") -> Catalog:
    return Catalog(bus or Bus(), specs(), lambda: folders, active)


def names(found: Catalog) -> list[str]:
    """All but the built-in one."""
    return [entry.id for entry in found.models if not entry.builtin]


def scripted(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("context = 100\n")


async def test_models_are_named_by_file_and_told_when_they_change(tmp_path: Path) -> None:
    scripted(tmp_path / "a.scripted.toml")
    bus = Bus()
    found = catalog(tmp_path, bus=bus)
    events = bus.subscribe(lambda: Snapshot(status=STATUS))
    await events.get()
    await found.scan()
    await found.scan()
    assert names(found) == ["a"]
    assert found.find("a").runtimes == ("scripted",)
    scripted(tmp_path / "b.scripted.toml")
    await found.scan()
    told = [(await events.get()).event for _ in range(2)]
    assert all(isinstance(event, ModelsChanged) for event in told)
    assert isinstance(told[1], ModelsChanged)
    assert "b" in [entry.id for entry in told[1].models]


async def test_the_same_name_twice_is_told_apart_by_its_folder(tmp_path: Path) -> None:
    for folder in ("x", "y", "."):
        scripted(tmp_path / folder / "a.scripted.toml")
    found = catalog(tmp_path)
    await found.scan()
    assert sorted(names(found)) == ["a", "x/a", "y/a"]


async def test_a_file_called_guide_does_not_hide_the_built_in_model(tmp_path: Path) -> None:
    scripted(tmp_path / "mine" / "guide.scripted.toml")
    found = catalog(tmp_path)
    await found.scan()
    assert names(found) == ["mine/guide"]


async def test_a_broken_file_is_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03\0\0\0")
    found = catalog(tmp_path)
    await found.scan()
    error = found.find("cut").error
    assert error is not None
    assert error.code == "corrupt_model"
    assert "cut.gguf" in error.what


async def test_a_link_in_a_circle_ends_and_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    scripted(tmp_path / "deep" / "a.scripted.toml")
    (tmp_path / "deep" / "round").symlink_to(tmp_path)
    found = catalog(tmp_path, tmp_path / "none")
    await found.scan()
    assert names(found) == ["a"]


async def test_names_that_would_move_the_cursor_are_passed_over(tmp_path: Path) -> None:
    scripted(tmp_path / "evil\x1b[2J.scripted.toml")
    found = catalog(tmp_path)
    await found.scan()
    assert names(found) == []


async def test_an_unknown_model_names_what_is_near(tmp_path: Path) -> None:
    for name in ("zebra", "llama-small", "llama-large"):
        scripted(tmp_path / f"{name}.scripted.toml")
    found = catalog(tmp_path)
    await found.scan()
    assert found.find("LLAMA-SMALL").id == "llama-small"
    with pytest.raises(ModelNotFound) as caught:
        found.find("llama-smal")
    assert caught.value.info.remedy.startswith("There are: llama-small")
    assert "zebra" in caught.value.info.remedy


async def test_a_file_that_came_later_is_found(tmp_path: Path) -> None:
    found = catalog(tmp_path)
    await found.scan()
    scripted(tmp_path / "late.scripted.toml")
    assert (await found.resolve("late")).id == "late"


async def test_an_active_model_that_is_gone_gives_way_to_the_built_in_one(tmp_path: Path) -> None:
    scripted(tmp_path / "a.scripted.toml")
    bus = Bus()
    found = catalog(tmp_path, bus=bus, active="a")
    await found.scan()
    assert found.active == "a"
    (tmp_path / "a.scripted.toml").unlink()
    await found.scan()
    assert found.active == "guide"
    scripted(tmp_path / "b.scripted.toml")
    await found.scan()
    events = bus.subscribe(lambda: Snapshot(status=STATUS))
    await events.get()
    found.select("b")
    assert (await events.get()).event == ActiveModelChanged(model="b")
