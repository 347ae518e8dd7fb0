"""The host's log: one rotating file."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

NAME = "host.log"
MAX_BYTES = 2 * 1024 * 1024
BACKUPS = 3


def start(folder: Path, level: str) -> None:
    """Sends everything that is logged at `level` or above to `host.log` in `folder`, warnings included."""
    handler = logging.handlers.RotatingFileHandler(
        folder / NAME, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
