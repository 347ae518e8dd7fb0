"""The user's own keys: `keymap.toml` in the configuration folder.

[keys]
new_chat = "ctrl+n"
newline = ["ctrl+j", "alt+enter"]
"""

from __future__ import annotations

import difflib
from pathlib import Path

from engine.errors import SettingsError
from tui.commands import COMMANDS, Command, Where


def read_keymap(file: Path) -> dict[str, str]:
    """Command ids to keys (comma-separated, Textual's names); empty when there is no such file.

    Raises `SettingsError` naming the file and the command.
    """
    import tomllib  # noqa: PLC0415 - most people have no such file

    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The keymap file {file} cannot be read: {error}.") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}.", remedy="Correct it, or delete the file.") from error
    if unknown := set(data) - {"keys"}:
        raise SettingsError(f"{file}: there is no table {min(unknown)}; the keys stand in a table named [keys].")
    table = data.get("keys", {})
    if not isinstance(table, dict):
        raise SettingsError(f"{file}: keys must be a table, written [keys].")
    keymap = {name: ",".join(_keys(file, name, value)) for name, value in table.items()}
    _refuse_twice(file, keymap)
    return keymap


def _keys(file: Path, name: str, value: object) -> list[str]:
    known = [command.id for command in COMMANDS if command.available and command.keys]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise SettingsError(
            f"{file}: there is no command {name}" + (f"; did you mean {near[0]}?" if near else "."),
            remedy=f"Commands with keys: {', '.join(known)}.",
            param=name,
        )
    keys = value.split(",") if isinstance(value, str) else value
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) and key.strip() for key in keys):
        raise SettingsError(f'{file}: {name} must be a key such as "ctrl+n", or a list of keys.', param=name)
    return [key.strip() for key in keys]


def _refuse_twice(file: Path, keymap: dict[str, str]) -> None:
    """No key may mean two things in one place; keys that work everywhere may not be taken anywhere."""
    taken: dict[tuple[Where, str], Command] = {}
    for command in COMMANDS:
        if not command.available:
            continue
        for key in keymap.get(command.id, ",".join(command.keys)).split(","):
            other = taken.get((command.where, key)) or taken.get((Where.APP, key))
            if key and other:
                raise SettingsError(
                    f"{file}: {key} would mean both {other.id} and {command.id}.",
                    remedy="Give one of them another key.",
                    param=command.id,
                )
            taken[command.where, key] = command
