"""What an installed user gets: the wheel, put into an environment of its own without a checkout beside it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
UV = str(Path(sys.executable).with_name("uv"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(REPOSITORY)], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_brings_the_model_and_every_file_the_app_reads(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "engine", "tui"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
    wanted = {name for name in tracked if not name.startswith(("engine/builtin/train/", "engine/builtin/facts/"))}
    assert wanted - names == set()
    assert "engine/builtin/guide/guide-Q8_0.gguf" in names


def test_the_wheel_leaves_the_training_out(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith(("engine/builtin/train/", "engine/builtin/facts/"))] == []
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"engine", "tui"}
