"""What a download is, as it is kept on disk; pure."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

from engine.errors import BadInput, Conflict
from engine.models.variants import safe_path
from engine.types import HubRepo, HubVariant


class PlannedFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file: where it comes from, where it goes, and how to know that it is right."""

    name: str
    """As it is shown."""
    url: str
    target: str
    """Absolute path."""
    size: int | None = None
    sha256: str | None = None
    git_oid: str | None = None
    """Git's SHA-1, where the Hub tells no SHA-256 (small files)."""
    validator: str | None = None
    """Of an address: the ETag, or the time of the last change, as the server says it."""

    @property
    def identity(self) -> str:
        """Equal for two files only if a part of one can be completed from the other."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        if self.git_oid:
            return f"git:{self.git_oid}"
        return f"url:{self.url} {self.validator or ''} {self.size or ''}".strip()


class DownloadSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The files of a download, which appear together."""

    files: tuple[PlannedFile, ...]
    root: str
    """The models folder, below which all of them lie."""
    repo: str | None = None
    """The Hub's repository that the user's token is for; none with a plain address."""
    endpoint: str | None = None
    """The Hub's address, which alone is sent the token."""


def of_repo(repo: HubRepo, variant: HubVariant, models: Path, endpoint: str) -> DownloadSpec:
    """The download of a variant, to `models/OWNER/NAME/` with the paths of the repository.

    Raises `BadInput` when a name is not safe; the list of files was cleaned of such before.
    """
    folder = models.joinpath(*repo.id.split("/"))
    planned = []
    for file in variant.files:
        if not safe_path(file.path):
            raise BadInput(f"{repo.id} has a file whose name is not safe to use here: {file.path!r}.")
        planned.append(
            PlannedFile(
                name=file.path,
                url=f"{endpoint}/{repo.id}/resolve/{repo.commit}/{quote(file.path)}",
                target=str(folder.joinpath(*file.path.split("/"))),
                size=file.size,
                sha256=file.sha256,
                git_oid=file.git_oid,
            )
        )
    return DownloadSpec(files=tuple(planned), root=str(models), repo=repo.id, endpoint=endpoint)


def of_address(
    url: str, suggested: str | None, size: int | None, validator: str | None, sha256: str | None, models: Path
) -> DownloadSpec:
    """The download of one file to `models/HOST/`, under the name that the server suggests or the address ends with.

    Raises `BadInput` when neither is a usable name.
    """
    parts = urlsplit(url)
    choices = [PurePosixPath((suggested or "").replace("\\", "/")).name, unquote(PurePosixPath(parts.path).name)]
    name = next((choice for choice in choices if choice and "/" not in choice and safe_path(choice)), None)
    host = parts.hostname or ""
    if name is None or name.startswith(".") or not safe_path(host.replace(":", "-")):
        raise BadInput(f"{without_secrets(url)} tells no usable name for the file.", param="what")
    target = models / host.replace(":", "-") / name
    file = PlannedFile(name=name, url=url, target=str(target), size=size, sha256=sha256, validator=validator)
    return DownloadSpec(files=(file,), root=str(models))


def check_targets(spec: DownloadSpec) -> None:
    """Raises `Conflict` when something that is no file lies where one is to go, or two are to go to one place."""
    targets = [file.target for file in spec.files]
    if len({target.lower() for target in targets}) < len(targets):
        raise Conflict("Two files of this download have the same name, but for upper and lower case.")
    for target in targets:
        if Path(target).is_dir():
            raise Conflict(f"{target} is a folder, and a file of this name is to be put there.")


def without_secrets(url: str) -> str:
    """An address without user, password and query, to be shown and logged."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
