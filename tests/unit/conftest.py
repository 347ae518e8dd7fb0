"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.downloading import NAME, WEIGHTS
from fixtures.hub import Hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A stand-in for the Hub with one model, which HF_ENDPOINT names; no token is found."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        hub.repos["me/x"] = {NAME: WEIGHTS, "README.md": b"hello"}
        yield hub
