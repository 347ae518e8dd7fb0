"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Footplate


@pytest.fixture
def footplate(home: Path) -> Iterator[Footplate]:
    """The command in a fresh home; a host that is left is ended."""
    command = Footplate(home)
    yield command
    command.run("stop", "--force")
