"""The model that ships with Footplate, and how it was made (`train/`, not installed)."""

from __future__ import annotations

from pathlib import Path

GUIDE = Path(__file__).parent / "guide" / "guide-Q8_0.gguf"
"""The built-in model, id `guide`."""
