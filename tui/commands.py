"""Every command and key, declared once: footer, palette, help screen and keymap file all read this table.

A command without an action belongs to a screen that is not there yet: its keys are reserved and nothing offers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.binding import BindingType


class Where(StrEnum):
    """The place where a key works; the value is the help screen's heading."""

    APP = "Everywhere"
    CHAT = "Chat"
    INPUT = "Chat, in the input"
    TRANSCRIPT = "Chat, in the transcript"
    LISTS = "Lists"
    MODELS = "Models"
    TRANSFERS = "Transfers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing the user can ask for."""

    id: str
    """The name a keymap file uses."""
    title: str
    """What it does, as the palette and the help screen say it."""
    where: Where
    keys: tuple[str, ...] = ()
    """Default keys, in Textual's names."""
    action: str = ""
    """The Textual action; empty while the screen that serves it does not exist."""
    help: str = ""
    """A sentence more, where the title does not say it all."""
    footer: str = ""
    """The word for the footer; empty where it would only be noise."""
    palette: bool = False
    """Whether the palette offers it."""
    priority: bool = False
    """Whether the key works whatever has the focus."""

    @property
    def available(self) -> bool:
        """Whether something serves this command now."""
        return bool(self.action)


def _app(id: str, title: str, *keys: str, action: str = "", footer: str = "", help: str = "") -> Command:  # noqa: A002
    return Command(
        id=id,
        title=title,
        where=Where.APP,
        keys=keys,
        action=action,
        footer=footer,
        help=help,
        palette=bool(action),
        priority=bool(keys),
    )


def _key(where: Where, id: str, title: str, *keys: str, action: str = "", footer: str = "") -> Command:  # noqa: A002
    return Command(id=id, title=title, where=where, keys=keys, action=action, footer=footer)


COMMANDS: tuple[Command, ...] = (
    _app("help", "Help: every key", "f1", action="app.help", footer="Help"),
    _app("chat", "Chat", "f2", "alt+1", action="app.show_mode('chat')"),
    _app("models", "Models", "f3", "alt+2"),
    _app("transfers", "Transfers", "f4", "alt+3"),
    _app("hardware", "Hardware", "f5", "alt+4"),
    _app("bench", "Bench", "f6", "alt+5"),
    _app("server", "Server", "f7", "alt+6"),
    _app("settings", "Settings", "f8", "alt+7"),
    _app("logs", "Logs", "f9", "alt+8"),
    Command(
        id="palette",
        title="All commands",
        where=Where.APP,
        keys=("ctrl+p",),
        action="app.palette",
        footer="Commands",
        priority=True,
    ),
    _app("switch_model", "Switch model", "ctrl+o", action="app.switch_model", footer="Model"),
    _app(
        "api",
        "Turn the API on or off",
        action="app.toggle_api",
        help="Editors and programs reach the models through an OpenAI-compatible API.",
    ),
    _app(
        "unload_model", "Unload the model", action="app.unload_model", help="Its process ends and its memory is free."
    ),
    _app("theme", "Change the theme", action="app.pick_theme", help="For this time; the settings file keeps one."),
    _app("attach", "Attach to the host again", action="app.attach", help="Starts a host when none runs."),
    _app("suspend", "Suspend", action="app.suspend_process", help="Back to the shell; `fg` returns."),
    _app(
        "quit",
        "Quit",
        "ctrl+q",
        action="app.request_quit",
        footer="Quit",
        help="Asks first when an answer is being written or the API is on.",
    ),
    Command(
        id="new_chat",
        title="New chat",
        where=Where.CHAT,
        keys=("ctrl+n",),
        action="screen.new_chat",
        footer="New",
        palette=True,
    ),
    Command(
        id="conversations",
        title="Conversations",
        where=Where.CHAT,
        keys=("ctrl+l",),
        action="screen.conversations",
        footer="Chats",
        palette=True,
    ),
    Command(
        id="rename_conversation",
        title="Rename this conversation",
        where=Where.CHAT,
        action="screen.rename_conversation",
        palette=True,
    ),
    Command(
        id="delete_conversation",
        title="Delete this conversation",
        where=Where.CHAT,
        action="screen.delete_conversation",
        palette=True,
        help="Asks first.",
    ),
    _key(Where.CHAT, "regenerate", "Answer again", "ctrl+r"),
    Command(
        id="fold_reasoning",
        title="Fold or unfold reasoning and tool results",
        where=Where.CHAT,
        keys=("ctrl+t",),
        action="screen.fold",
        palette=True,
    ),
    _key(Where.CHAT, "chat_settings", "Chat settings", "ctrl+g"),
    _key(Where.INPUT, "send", "Send", "enter", action="send", footer="Send"),
    _key(Where.INPUT, "newline", "New line", "ctrl+j", "alt+enter", action="newline", footer="New line"),
    _key(Where.INPUT, "leave", "Stop the answer, else to the transcript", "escape", action="leave", footer="Back"),
    _key(Where.INPUT, "edit_last", "In an empty input: edit the last message", "up"),
    _key(Where.TRANSCRIPT, "next_message", "Next message", "j", "down", action="next", footer="Next"),
    _key(Where.TRANSCRIPT, "previous_message", "Previous message", "k", "up", action="previous", footer="Previous"),
    _key(Where.TRANSCRIPT, "copy", "Copy the message", "y", action="copy", footer="Copy"),
    _key(Where.TRANSCRIPT, "write", "Back to the input", "i", "enter", action="write", footer="Write"),
    _key(Where.TRANSCRIPT, "stop", "Stop the answer", "escape", action="screen.stop"),
    _key(Where.TRANSCRIPT, "first_message", "First message", "g", "home", action="first"),
    _key(Where.TRANSCRIPT, "last_message", "Last message", "G", "end", action="last"),
    _key(Where.TRANSCRIPT, "edit", "Edit the message", "e"),
    _key(Where.TRANSCRIPT, "answer_again", "Answer again", "r"),
    _key(Where.TRANSCRIPT, "branch_left", "Previous branch", "h", "left"),
    _key(Where.TRANSCRIPT, "branch_right", "Next branch", "l", "right"),
    _key(Where.TRANSCRIPT, "save_code", "Save a code block", "s"),
    _key(Where.TRANSCRIPT, "find", "Find", "/"),
    _key(Where.LISTS, "next_item", "Next", "j", "down"),
    _key(Where.LISTS, "previous_item", "Previous", "k", "up"),
    _key(Where.LISTS, "open_item", "Open or load", "enter"),
    _key(Where.LISTS, "filter", "Filter", "/"),
    _key(Where.LISTS, "select_item", "Select", "space"),
    _key(Where.MODELS, "model_download", "Download", "d"),
    _key(Where.MODELS, "model_convert", "Convert", "c"),
    _key(Where.MODELS, "model_unload", "Unload", "u"),
    _key(Where.MODELS, "model_pin", "Pin", "p"),
    _key(Where.MODELS, "model_bench", "Bench", "b"),
    _key(Where.MODELS, "model_options", "Options", "o"),
    _key(Where.MODELS, "model_delete", "Delete", "x"),
    _key(Where.TRANSFERS, "transfer_pause", "Pause or resume", "p"),
    _key(Where.TRANSFERS, "transfer_cancel", "Cancel", "x"),
    _key(Where.TRANSFERS, "transfer_retry", "Retry", "r"),
    _key(Where.TRANSFERS, "transfer_log", "Log", "l"),
)


def bindings(*where: Where) -> list[BindingType]:
    """Textual bindings of the available commands of these places."""
    from textual.binding import Binding  # noqa: PLC0415 - the table itself is read without a screen

    return [
        Binding(
            ",".join(command.keys),
            command.action,
            command.footer or command.title,
            show=bool(command.footer),
            priority=command.priority,
            id=command.id,
        )
        for command in COMMANDS
        if command.where in where and command.available and command.keys
    ]


def keys_of(command: Command, keymap: Mapping[str, str]) -> list[str]:
    """The keys of `command`, as the user's keymap has them."""
    return [key for key in keymap.get(command.id, ",".join(command.keys)).split(",") if key]


def key_name(key: str) -> str:
    """A key as people write it: `ctrl+p` is `Ctrl+P`, `escape` is `Esc`."""
    names = {"escape": "Esc", "enter": "Enter", "up": "↑", "down": "↓", "left": "←", "right": "→", "space": "Space"}
    *modifiers, last = key.split("+")
    shown = names.get(last) or (last.upper() if modifiers or (len(last) > 1 and last[0] == "f") else last)
    shown = shown if last in names or len(last) <= 2 else last.capitalize()
    return "+".join([*(part.capitalize() for part in modifiers), shown])
