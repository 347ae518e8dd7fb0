"""Where things lie: the only module that knows FOOTPLATE_HOME and the XDG folders.

Finding the folders touches nothing; `Paths.make` creates them.
"""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import StartError

if TYPE_CHECKING:
    from platformdirs.api import PlatformDirsABC as PlatformDirs

SOCKET_PATH_LIMIT = 100
"""Bytes; `sun_path` holds 108 on Linux and 104 on macOS, its final NUL included."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of one home. Two processes with equal `Paths` talk to the same host."""

    config: Path
    data: Path
    cache: Path
    state: Path
    run: Path
    models: Path
    """Where models are looked for and put first."""
    contained: bool
    """Set by FOOTPLATE_HOME: nothing outside these folders is scanned or written unless configured."""

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Paths:
        """The folders that `environ` asks for: under FOOTPLATE_HOME when it is set, else the platform's own."""
        home = environ.get("FOOTPLATE_HOME")
        if home:
            root = Path(home).expanduser().absolute()
            return cls(
                config=root / "config",
                data=root / "data",
                cache=root / "cache",
                state=root / "state",
                run=root / "run",
                models=root / "models",
                contained=True,
            )
        import platformdirs  # noqa: PLC0415 - not needed where FOOTPLATE_HOME says it all

        dirs = platformdirs.PlatformDirs("footplate", appauthor=False)
        own = Path.home() / "models"
        return cls(
            config=dirs.user_config_path,
            data=dirs.user_data_path,
            cache=dirs.user_cache_path,
            state=dirs.user_state_path,
            run=_runtime_folder(dirs),
            models=own if own.is_dir() else dirs.user_data_path / "models",
            contained=False,
        )

    @property
    def socket(self) -> Path:
        """The host's Unix socket. A path too long for the kernel is replaced by a short one, private to this user."""
        path = self.run / "host.sock"
        if len(bytes(path)) <= SOCKET_PATH_LIMIT:
            return path
        import os  # noqa: PLC0415 - only the rare long path needs it

        digest = hashlib.sha256(bytes(self.run)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"footplate-{os.getuid()}" / f"{digest}.sock"

    @property
    def lock(self) -> Path:
        """The file whose `flock` makes a process the host of this home."""
        return self.run / "host.lock"

    @property
    def database(self) -> Path:
        """Conversations."""
        return self.data / "conversations.sqlite"

    @property
    def jobs(self) -> Path:
        """The list of jobs, such as downloads."""
        return self.data / "jobs.json"

    @property
    def settings_file(self) -> Path:
        """The settings, TOML."""
        return self.config / "config.toml"

    @property
    def prefixes(self) -> Path:
        """Saved states of prompts, a folder for each model."""
        return self.cache / "prefixes"

    @property
    def logs(self) -> Path:
        """The host's log and one per worker."""
        return self.state / "logs"

    def make(self) -> None:
        """Creates every folder, private to the user; raises `StartError` naming the one that cannot be made."""
        for folder in (self.config, self.data, self.cache, self.state, self.run, self.logs, self.socket.parent):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StartError(
                    f"The folder {folder} cannot be made: {error.strerror}.",
                    meaning="Footplate keeps its settings, conversations and socket in folders of yours.",
                    remedy="Make it writable, or name another place with FOOTPLATE_HOME.",
                ) from error


def _runtime_folder(dirs: PlatformDirs) -> Path:
    """The folder for sockets; beside the state where the platform gives none, which platformdirs says by a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return dirs.user_runtime_path
        except Warning:
            return dirs.user_state_path / "run"
