"""The table of commands: complete, free of collisions, and what footer, palette, help and keymap are made from."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from recording_engine import FakeEngine
from screen_pilot import running, shown, type_text, until
from textual.widgets import TextArea

from engine.errors import SettingsError
from tui.choices import command_choices
from tui.commands import COMMANDS, Where, key_name, keys_of
from tui.keymap import read_keymap
from tui.widgets.prompt import Prompt

FIXED = {
    Where.APP: "f1 f2 f3 f4 f5 f6 f7 f8 f9 alt+1 alt+2 alt+3 alt+4 alt+5 alt+6 alt+7 alt+8 ctrl+p ctrl+o ctrl+q",
    Where.CHAT: "ctrl+n ctrl+l ctrl+r ctrl+t ctrl+g",
    Where.INPUT: "enter ctrl+j alt+enter up escape",
    Where.TRANSCRIPT: "j k down up y e r h l left right s / i enter",
    Where.LISTS: "j k down up enter / space",
    Where.MODELS: "d c u p b o x",
    Where.TRANSFERS: "p x r l",
}
"""The default keys, which documentation and the built-in model rely on."""


def test_the_fixed_keys_are_all_declared() -> None:
    for where, keys in FIXED.items():
        declared = {key for command in COMMANDS if command.where is where for key in command.keys}
        assert set(keys.split()) <= declared, where


def test_no_key_means_two_things_in_one_place() -> None:
    taken = Counter((command.where, key) for command in COMMANDS for key in command.keys)
    assert [pair for pair, times in taken.items() if times > 1] == []
    everywhere = {key for command in COMMANDS if command.where is Where.APP for key in command.keys}
    elsewhere = {key for command in COMMANDS if command.where is not Where.APP for key in command.keys}
    assert everywhere & elsewhere == set()


def test_line_editing_keeps_its_keys() -> None:
    editing = {key for binding in TextArea.BINDINGS for key in binding.key.split(",")}  # type: ignore[union-attr]
    ours = {key for command in COMMANDS if command.where in (Where.APP, Where.CHAT) for key in command.keys}
    assert editing & ours == {"f6", "f7"}, "only the two that are screens here"
    assert {"f6", "f7"}.isdisjoint(key for binding in Prompt.BINDINGS for key in binding.key.split(","))  # type: ignore[union-attr]


def test_ids_are_unique_and_fit_a_keymap_file() -> None:
    ids = [command.id for command in COMMANDS]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z_]+", id_) for id_ in ids)


def test_what_is_not_there_is_not_offered() -> None:
    offered = {choice.id for choice in command_choices({}, lost=True)}
    assert offered == {command.id for command in COMMANDS if command.palette}
    assert all(command.available for command in COMMANDS if command.palette)
    assert "attach" not in {choice.id for choice in command_choices({}, lost=False)}


@pytest.mark.parametrize(
    ("key", "name"),
    [("ctrl+p", "Ctrl+P"), ("f10", "F10"), ("escape", "Esc"), ("alt+1", "Alt+1"), ("j", "j"), ("ctrl+j", "Ctrl+J"),
     ("up", "↑"), ("G", "G"), ("alt+enter", "Alt+Enter"), ("home", "Home")],
)  # fmt: skip
def test_keys_are_named_as_people_write_them(key: str, name: str) -> None:
    assert key_name(key) == name


async def test_help_shows_what_works_now_and_nothing_else() -> None:
    async with running(FakeEngine(), size=(80, 80)) as (app, pilot):
        await pilot.press("f1")
        await until(pilot, lambda: "Chat, in the transcript" in shown(app))
        titles = {line.strip("│ ").split("  ")[-1].strip() for line in shown(app).splitlines()}
        assert {command.title for command in COMMANDS if command.available} <= titles
        assert "Transfers" not in titles
        await pilot.press("escape")
        await until(pilot, lambda: "Chat, in the transcript" not in shown(app))


async def test_every_available_command_has_an_action_that_exists() -> None:
    async with running(FakeEngine()) as (app, _pilot):
        places = {
            Where.APP: app,
            Where.CHAT: app.chat,
            Where.INPUT: app.chat.query_one("Prompt"),
            Where.TRANSCRIPT: app.chat.query_one("Transcript"),
        }
        for command in COMMANDS:
            if command.available:
                name = command.action.split(".")[-1].split("(")[0]
                place = {"app": app, "screen": app.chat}.get(command.action.split(".")[0], places.get(command.where))
                assert callable(getattr(place, f"action_{name}", None)), command.id


async def test_a_keymap_changes_key_footer_and_help() -> None:
    async with running(FakeEngine(), keymap={"new_chat": "ctrl+b", "send": "ctrl+s"}) as (app, pilot):
        await until(pilot, lambda: "Ctrl+B New" in shown(app))
        await type_text(pilot, "hi")
        await pilot.press("enter")
        assert app.chat.query_one(Prompt).text == "hi\n"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.chat.thread is not None)
        await pilot.press("ctrl+b")
        await until(pilot, lambda: app.chat.thread is None)


def keymap(tmp_path: Path, text: str) -> dict[str, str]:
    file = tmp_path / "keymap.toml"
    file.write_text(text)
    return read_keymap(file)


def test_a_keymap_file_is_read(tmp_path: Path) -> None:
    assert read_keymap(tmp_path / "none.toml") == {}
    read = keymap(tmp_path, '[keys]\nnew_chat = "ctrl+b"\nnewline = ["ctrl+j", "ctrl+e"]\n')
    assert read == {"new_chat": "ctrl+b", "newline": "ctrl+j,ctrl+e"}
    newline = next(command for command in COMMANDS if command.id == "newline")
    assert keys_of(newline, read) == ["ctrl+j", "ctrl+e"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[keys", "not valid TOML"),
        ("[key]\n", "there is no table key"),
        ("keys = 3\n", "keys must be a table"),
        ('[keys]\nnew_chta = "ctrl+b"\n', "did you mean new_chat?"),
        ('[keys]\nmodels = "f3"\n', "there is no command models"),
        ("[keys]\nnew_chat = 7\n", "new_chat must be a key"),
        ("[keys]\nnew_chat = []\n", "new_chat must be a key"),
        ('[keys]\nnew_chat = "ctrl+q"\n', "ctrl+q would mean both quit and new_chat"),
        ('[keys]\nnew_chat = "ctrl+l"\n', "would mean both"),
    ],
)
def test_a_wrong_keymap_is_refused_by_name(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(part)) as caught:
        keymap(tmp_path, text)
    assert str(tmp_path / "keymap.toml") in str(caught.value)
