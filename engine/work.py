"""What a job does, and what is kept of it on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from engine.errors import StartError
from engine.types import JobFile, JobInfo, JobState


class Progress(Struct, frozen=True, kw_only=True):
    """How far a piece of work is, in bytes."""

    done: int = 0
    total: int | None = None
    files: tuple[JobFile, ...] = ()
    note: str = ""


class Work(Protocol):
    """The doing of one job. Can be run again after it was cancelled or has failed, and goes on where it was."""

    @property
    def claims(self) -> frozenset[str]:
        """What no other job may touch at the same time, such as the paths of the files it writes."""

    def progress(self) -> Progress:
        """How far it is now; asked for twice a second."""

    async def run(self) -> tuple[str, ...]:
        """Does the work; names of the models that came of it. Pausing cancels the task that awaits this."""

    async def discard(self, keep: frozenset[str]) -> None:
        """Removes what is half done, except for what is among the claims `keep` of other jobs."""


class JobSpec(Struct, frozen=True, kw_only=True):
    """What a new job is."""

    kind: str
    key: str
    """Two jobs with the same key would do the same."""
    title: str
    folder: str
    detail: Raw
    """What the kind needs to know, JSON."""


class Record(Struct, kw_only=True):
    """A job as it is kept."""

    spec: JobSpec
    info: JobInfo


def read_records(file: Path) -> list[Record]:
    """The jobs kept in `file`; those that a dead host left running are queued again. Raises `StartError`."""
    try:
        records = msgspec.json.decode(file.read_bytes(), type=list[Record])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        raise StartError(
            f"The list of jobs in {file} cannot be read: {error}.",
            remedy="Move the file away to begin with an empty list; finished downloads are not touched.",
        ) from error
    for record in records:
        if record.info.state is JobState.RUNNING:
            record.info = replace(record.info, state=JobState.QUEUED)
    return records
