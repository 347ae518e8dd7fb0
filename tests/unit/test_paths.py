from pathlib import Path

import pytest

from engine.errors import StartError
from engine.paths import Paths


def test_a_home_of_its_own_contains_everything(tmp_path: Path) -> None:
    paths = Paths.find({"FOOTPLATE_HOME": str(tmp_path / "fp")})
    for path in (paths.config, paths.data, paths.cache, paths.state, paths.models, paths.database, paths.lock):
        assert path.is_relative_to(tmp_path / "fp")
    assert paths.contained
    assert not (tmp_path / "fp").exists()


def test_made_folders_are_private(tmp_path: Path) -> None:
    paths = Paths.find({"FOOTPLATE_HOME": str(tmp_path / "fp")})
    paths.make()
    assert paths.run.stat().st_mode & 0o777 == 0o700


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    paths = Paths.find({"FOOTPLATE_HOME": str(tmp_path / ("x" * 120))})
    assert len(bytes(paths.socket)) <= 100
    assert paths.socket == Paths.find({"FOOTPLATE_HOME": str(tmp_path / ("x" * 120))}).socket


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    paths = Paths.find({"FOOTPLATE_HOME": str(tmp_path / "file")})
    with pytest.raises(StartError, match="file/config"):
        paths.make()
