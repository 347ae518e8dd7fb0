"""One host per home: the lock that makes a process the host, and its private socket. The only platform-bound place."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

from engine.errors import HostRunning, StartError


def require_unix() -> None:
    """Raises `StartError` where there are no Unix sockets and no `flock`."""
    if sys.platform == "win32":
        raise StartError(
            "Footplate does not run on Windows yet.",
            meaning="Its screen and its host talk over a Unix socket.",
            remedy="Use WSL, the Windows Subsystem for Linux.",
        )


class HostLock:
    """The lock of one home, held from `take` until the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, file: Path) -> HostLock:
        """Raises `HostRunning`, naming the pid, when another process holds it; `StartError` when it cannot be made."""
        import fcntl  # noqa: PLC0415 - not there on Windows

        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(
                f"The lock {file} cannot be made: {error.strerror}.", remedy="Make its folder writable for you."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise HostRunning(
                f"A Footplate host runs already (process {holder(file) or 'unknown'}).",
                meaning="One host serves all terminals and programs of a home.",
                remedy="`footplate` attaches to it; `footplate stop` ends it.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(descriptor)

    def release(self) -> None:
        """Gives the lock back."""
        os.close(self._descriptor)


def holder(file: Path) -> int | None:
    """The process that says in `file` that it holds the lock; it may have ended since."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def bind(path: Path) -> socket.socket:
    """A listening socket at `path` that only this user can reach; what a dead host left there is removed.

    To be called by the holder of the lock. Raises `StartError` when the folder is not private to this user, or cannot
    be written.
    """
    folder = path.parent.stat()
    if folder.st_uid != os.getuid() or stat.S_IMODE(folder.st_mode) & 0o077:
        raise StartError(
            f"The folder {path.parent} is not private.",
            meaning="Another user could reach the host there.",
            remedy=f"Run `chmod 700 {path.parent}`, or name another place with FOOTPLATE_HOME.",
        )
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(64)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise StartError(
            f"The socket {path} cannot be made: {error.strerror}.",
            meaning="The screen reaches the host through it.",
            remedy="Make its folder writable for you, or name another place with FOOTPLATE_HOME.",
        ) from error
    return listening
