from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import SettingsError
from engine.settings import Settings, SettingsStore, parse, read

FILE = Path("/home/me/config.toml")


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    settings = read(tmp_path / "config.toml")
    assert settings == Settings()
    assert not settings.api.enabled
    assert (settings.api.host, settings.api.port) == ("127.0.0.1", 8080)


def test_what_is_written_is_read() -> None:
    settings = parse('[api]\nport = 9000\n[runtime]\ncontext = 8192\n[models]\nfolders = ["~/a", "/b"]\n', FILE)
    assert settings.api.port == 9000
    assert settings.runtime.context == 8192
    assert settings.models.folders == ("~/a", "/b")


@pytest.mark.parametrize(
    ("text", "line", "key", "allowed"),
    [
        ('[api]\nport = "eighty"\n', 2, "api.port", "whole number from 1 to 65535"),
        ("\n[api]\n\nport = 70000\n", 4, "api.port", "65535"),
        ('[log]\nlevel = "loud"\n', 2, "log.level", "debug, info, warning and error"),
        ("[models]\nfolders = [1]\n", 2, "models.folders", "folders"),
        ("api.enabled = 1\n", 1, "api.enabled", "true or false"),
        ("[api]\nmost_requests = 0\n", 2, "api.most_requests", "whole number from 1 to 1024"),
        ("api = 3\n", 1, "api", "table"),
        ("[runtime]\ncontext = 0\n", 2, "runtime.context", "tokens"),
    ],
)
def test_a_value_that_is_not_allowed_names_file_line_key_and_what_is(
    text: str, line: int, key: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, FILE)
    info = caught.value.info
    assert f"{FILE}, line {line}: {key} " in info.what
    assert allowed in info.what
    assert info.param == key


def test_an_unknown_key_names_the_nearest_and_all_there_are() -> None:
    with pytest.raises(SettingsError) as caught:
        parse("[api]\nprot = 1\n", FILE)
    sentence = str(caught.value)
    assert f"{FILE}, line 2: there is no setting api.prot; did you mean api.port?" in sentence
    assert "enabled, host, port, key_hashes" in sentence


def test_broken_toml_names_the_place() -> None:
    with pytest.raises(SettingsError, match=r"not valid TOML.*line 1"):
        parse("[api\n", FILE)


async def test_a_change_keeps_comments_and_everything_else(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('# mine\n[api]\nport = 9000  # because\n\n[tui]\ntheme = "nord"\n')
    store = SettingsStore(file)
    settings = await store.change("api", enabled=True, key_hashes=("x",))
    assert settings == store.current == read(file)
    assert settings.api.enabled
    assert settings.tui.theme == "nord"
    assert "# mine" in file.read_text()
    assert "port = 9000  # because" in file.read_text()


async def test_a_change_that_is_not_allowed_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[api]\nport = 9000\n")
    store = SettingsStore(file)
    with pytest.raises(SettingsError, match=r"api\.port"):
        await store.change("api", port=-1)
    assert store.current.api.port == 9000
    assert file.read_text() == "[api]\nport = 9000\n"


async def test_a_linked_settings_file_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("# kept elsewhere\n")
    file = tmp_path / "config.toml"
    file.symlink_to(real)
    await SettingsStore(file).change("models", default="qwen")
    assert file.is_symlink()
    assert read(real).models.default == "qwen"
