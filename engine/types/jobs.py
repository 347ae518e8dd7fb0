"""Long work: jobs, and what the Hub offers to download."""

from __future__ import annotations

from enum import StrEnum

from engine.errors import ErrorInfo
from engine.types.noun import Noun


class JobState(StrEnum):
    """The life of a job. A queued or running one goes on by itself after the host was ended; a paused one waits."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing more is done; a failed job can be taken up again."""
        return self in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


class FileState(StrEnum):
    """What happens to a file of a job."""

    WAITING = "waiting"
    CHECKING = "checking"
    LOADING = "loading"
    RETRYING = "retrying"
    DONE = "done"


class JobFile(Noun, frozen=True, kw_only=True, omit_defaults=False):
    """One file of a job."""

    name: str
    state: FileState = FileState.WAITING
    done: int = 0
    """Bytes that are there; never falls."""
    total: int | None = None
    note: str = ""
    """What the file waits for, a sentence."""


class JobInfo(Noun, frozen=True, kw_only=True, omit_defaults=False):
    """A job as the screen shows it."""

    id: int
    kind: str
    """`download`."""
    title: str
    state: JobState
    created: float
    """Unix time."""
    ended: float | None = None
    """Unix time."""
    done: int = 0
    """Bytes; never falls."""
    total: int | None = None
    rate: float | None = None
    """Bytes a second over the last seconds, while it runs."""
    left_s: float | None = None
    """Seconds to the end at this rate."""
    files: tuple[JobFile, ...] = ()
    note: str = ""
    folder: str = ""
    """Where the result lies, or will lie."""
    models: tuple[str, ...] = ()
    """Models that came of it, by the names they go by."""
    error: ErrorInfo | None = None
    """Why it failed."""


class HubModel(Noun, frozen=True, kw_only=True, omit_defaults=False):
    """A model repository that a search found."""

    id: str
    downloads: int | None = None
    likes: int | None = None
    gated: bool = False
    updated: float | None = None
    """Unix time of the last change."""


class HubFile(Noun, frozen=True, kw_only=True):
    """A file of a repository."""

    path: str
    size: int | None = None
    sha256: str | None = None
    """Known of large files."""
    git_oid: str | None = None
    """Git's SHA-1 of the content, known of small files."""


class HubVariant(Noun, frozen=True, kw_only=True, omit_defaults=False):
    """The files of a repository that make one usable model: a quantization, all its parts, and its projector."""

    name: str
    quantization: str | None = None
    files: tuple[HubFile, ...] = ()

    @property
    def size(self) -> int | None:
        """Bytes of all files together."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


class HubRepo(Noun, frozen=True, kw_only=True, omit_defaults=False):
    """A repository and what can be downloaded of it."""

    id: str
    commit: str
    gated: bool = False
    downloads: int | None = None
    likes: int | None = None
    variants: tuple[HubVariant, ...] = ()
    """The one that is taken where none is named comes first."""
    files: tuple[HubFile, ...] = ()
    """Every file whose name is safe to use here."""
