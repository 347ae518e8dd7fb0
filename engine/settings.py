"""The settings: one TOML file, read strictly; the host alone writes it (`SettingsStore`), keeping comments."""

from __future__ import annotations

import asyncio
import difflib
import re
import tomllib
import types
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

from engine.errors import SettingsError

Port = Annotated[int, Meta(ge=0, le=65535, description="a whole number from 1 to 65535, or 0 for any free port")]
Count = Annotated[int, Meta(ge=1, le=1024, description="a whole number from 1 to 1024")]
Tokens = Annotated[int, Meta(ge=1, description="a whole number of tokens, at least 1")]
Rate = Annotated[int, Meta(ge=1, le=120, description="a whole number of frames per second from 1 to 120")]
Gigabytes = Annotated[float, Meta(ge=0, description="a number of gigabytes, or 0 for off")]
Scale = Annotated[float, Meta(ge=-100, le=100, description="a number from -100 to 100")]
Megabytes = Annotated[float, Meta(ge=0, description="a number of megabytes a second, or 0 for no limit")]
Seconds = Annotated[float, Meta(ge=0, description="a number of seconds")]
Text = Annotated[str, Meta(min_length=1, description="a text in quotes")]
Folders = Annotated[tuple[str, ...], Meta(description="a list of folders, each in quotes")]
Hashes = Annotated[tuple[str, ...], Meta(description="a list of hashes, as Footplate itself writes them")]
Switch = Annotated[bool, Meta(description="true or false")]
Level = Annotated[
    Literal["debug", "info", "warning", "error"], Meta(description="one of debug, info, warning and error")
]


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all tables."""


class ApiSettings(_Table, frozen=True, kw_only=True):
    """The OpenAI-compatible API on TCP."""

    enabled: Switch = False
    """Whether a host opens it when it starts."""
    host: Text = "127.0.0.1"
    port: Port = 8080
    key_hashes: Hashes = ()
    """Salted hashes of the keys that are accepted; none means that no key is asked for."""
    most_requests: Count = 64
    """Requests under way or waiting at once; further ones are told to come again (503 with `Retry-After`)."""


class ModelSettings(_Table, frozen=True, kw_only=True):
    """Where models are, and which one answers."""

    folders: Folders = ()
    """Searched besides Footplate's own folder."""
    default: Text = "guide"


class AdapterSettings(_Table, frozen=True, kw_only=True):
    """A LoRA adapter of a model."""

    path: Text
    """A GGUF file; from the settings' folder on, when it is not absolute."""
    scale: Scale = 1.0
    """How strongly it is applied where a request does not say; 0 is not at all."""


Adapters = Annotated[
    dict[str, tuple[AdapterSettings, ...]],
    Meta(description='a table of lists, one for each model, such as "name" = [{ path = "a.gguf", scale = 1.0 }]'),
]


class RuntimeSettings(_Table, frozen=True, kw_only=True):
    """How models are loaded; what is left out is decided by the machine's memory and processor."""

    context: Tokens | None = None
    slots: Count | None = None
    threads: Count | None = None
    fast_kernels: Switch | None = None
    speculation: Switch = True
    """Guess tokens ahead where that is measured to pay."""
    lora: Adapters = field(default_factory=dict)
    """By the models' ids: adapters that are loaded with them."""


class CacheSettings(_Table, frozen=True, kw_only=True):
    """Prompts that were computed and are kept, so that none is computed twice."""

    prefix_disk_gb: Gigabytes | None = None
    """On disk, for all models together; a tenth of what is free, at most 20, when left out."""
    prefix_memory_gb: Gigabytes | None = None
    """In the memory of each worker, beside its KV cache; a little of what is free when left out."""
    prefix_least_s: Seconds = 0.25
    """Prompts that are computed faster than this are not worth saving."""


class DownloadSettings(_Table, frozen=True, kw_only=True):
    """How models are fetched."""

    at_once: Count = 2
    """Downloads that run beside each other; the others wait."""
    files_at_once: Count = 4
    """Files of one download that are fetched beside each other, each over a connection of its own."""
    limit_mb_s: Megabytes = 0.0
    """For all downloads together, in millions of bytes a second."""


class TuiSettings(_Table, frozen=True, kw_only=True):
    """The screen."""

    theme: Text = "footplate"
    max_fps: Rate = 15


class LogSettings(_Table, frozen=True, kw_only=True):
    """The host's log."""

    level: Level = "info"


class Settings(_Table, frozen=True, kw_only=True):
    """All settings; every one has a default."""

    api: ApiSettings = field(default_factory=ApiSettings)
    models: ModelSettings = field(default_factory=ModelSettings)
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    downloads: DownloadSettings = field(default_factory=DownloadSettings)
    tui: TuiSettings = field(default_factory=TuiSettings)
    log: LogSettings = field(default_factory=LogSettings)


def read(file: Path) -> Settings:
    """The settings in `file`; the defaults when there is no such file.

    Raises `SettingsError` naming the file, the line, the key and what is allowed there.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {file} cannot be read: {error}.") from error
    return parse(text, file)


def parse(text: str, file: Path) -> Settings:
    """Settings from TOML `text`; `file` is named in errors. Raises `SettingsError`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}.", remedy="Correct it, or delete the file.") from error
    return _checked(data, text, file)


def _checked(data: dict[str, Any], text: str, file: Path) -> Settings:
    """The settings that `data`, which stands as `text` in `file`, says."""
    _refuse_unknown(data, Settings, (), text, file)
    try:
        return msgspec.convert(data, Settings)
    except msgspec.ValidationError as error:
        path = _path_of(error)
        raise SettingsError(
            f"{_where(file, text, path)}: {'.'.join(path)} must be {_allowed(path)}, not {_value(data, path)}.",
            remedy="Correct it, or delete the line to have the default.",
            param=".".join(path),
        ) from error


class SettingsStore:
    """The settings of a running host, and the only writer of their file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = asyncio.Lock()
        self.current = read(file)

    def preview(self, table: str, **values: Any) -> Settings:
        """The settings as `change` would leave them; nothing is written. Raises `SettingsError`."""
        data = msgspec.to_builtins(self.current)
        data[table] |= values
        return _checked(data, "", self._file)

    async def change(self, table: str, **values: Any) -> Settings:
        """Writes `values` into `[table]`, leaving everything else in the file as it stands, comments included.

        Raises `SettingsError` when a value is not allowed, or when the file was made invalid or cannot be written;
        nothing is changed then.
        """
        async with self._lock:
            self.current = await asyncio.to_thread(_rewrite, self._file, table, values)
        return self.current


def _rewrite(file: Path, table: str, values: dict[str, Any]) -> Settings:
    import tomlkit  # noqa: PLC0415 - needed when something is changed, which is rare

    from engine.files import replace_file  # noqa: PLC0415

    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        parse(before, file)
        document = tomlkit.parse(before)
        section = document.setdefault(table, tomlkit.table())
        for key, value in values.items():
            section[key] = list(value) if isinstance(value, tuple) else value
        text = tomlkit.dumps(document)
        settings = parse(text, file)
        replace_file(file, text.encode())
    except OSError as error:
        raise SettingsError(
            f"The settings file {file} cannot be written: {error.strerror}.",
            remedy="Make its folder writable for you.",
        ) from error
    return settings


def _refuse_unknown(data: dict[str, Any], table: type[Struct], path: tuple[str, ...], text: str, file: Path) -> None:
    for key, value in data.items():
        here = (*path, key)
        if key not in table.__struct_fields__:
            near = difflib.get_close_matches(key, table.__struct_fields__, n=1)
            raise SettingsError(
                f"{_where(file, text, here)}: there is no setting {'.'.join(here)}"
                + (f"; did you mean {'.'.join((*path, near[0]))}?" if near else "."),
                remedy=f"{'[' + '.'.join(path) + ']' if path else 'The file'} may have: "
                f"{', '.join(table.__struct_fields__)}.",
                param=".".join(here),
            )
        inner = _hint(here)
        if isinstance(inner, type) and issubclass(inner, Struct) and isinstance(value, dict):
            _refuse_unknown(value, inner, here, text, file)


def _hint(path: tuple[str, ...]) -> Any:
    found: Any = Settings
    for key in path:
        found = get_type_hints(found, include_extras=True)[key]
    return found


def _allowed(path: tuple[str, ...]) -> str:
    hint = _hint(path)
    choices = get_args(hint) if get_origin(hint) in {types.UnionType} or "Union" in str(get_origin(hint)) else (hint,)
    for choice in choices:
        for meta in getattr(choice, "__metadata__", ()):
            if isinstance(meta, Meta) and meta.description:
                return meta.description
    return "a table"


def _path_of(error: msgspec.ValidationError) -> tuple[str, ...]:
    """The key that msgspec names, such as `$.api.port`; indexes into a list are left off."""
    found = re.search(r"\$((?:\.\w+)+)", str(error))
    return tuple(found[1].strip(".").split(".")) if found else ()


def _value(data: Any, path: tuple[str, ...]) -> str:
    for key in path:
        data = data[key]
    return str(data).lower() if isinstance(data, bool) else repr(data)


def _where(file: Path, text: str, path: tuple[str, ...]) -> str:
    """The file, and the line where the last key of `path` stands, when it is written in the usual way."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([\w.]+)\s*\]", line):
            table = tuple(header[1].split("."))
            if table == path:
                return f"{file}, line {number}"
        elif (key := re.match(r"\s*([\w.]+)\s*=", line)) and (*table, *key[1].split(".")) == path:
            return f"{file}, line {number}"
    return str(file)
