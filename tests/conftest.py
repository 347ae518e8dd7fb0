"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# A shell that starts the tests in the background has Ctrl+C ignored, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh FOOTPLATE_HOME; short, because a Unix socket's path must be."""
    folder = Path(tempfile.mkdtemp(prefix="fp-"))
    monkeypatch.setenv("FOOTPLATE_HOME", str(folder))
    monkeypatch.delenv("FOOTPLATE_API_KEY", raising=False)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
