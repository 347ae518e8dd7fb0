"""The app: modes, what all of them share, and the connection to the engine."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from inspect import isawaitable
from typing import ClassVar, Literal, cast

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from engine.errors import FootplateError, from_info
from engine.events import Event
from engine.settings import TuiSettings
from tui.choices import QUIT_ANSWERS, command_choices, conversation_choices, model_choices, theme_choices
from tui.clipboard import osc52
from tui.commands import COMMANDS, Where, bindings, key_name, keys_of
from tui.engine import Engine
from tui.feed import pump
from tui.messages import HostChanged, HostNotice, Resynchronised, TurnsMoved, translate
from tui.screens.chat import ChatScreen
from tui.screens.dialogs import Question
from tui.screens.help import Help
from tui.screens.picker import Choice, Picker
from tui.state import HostView, lose, running
from tui.text import clean
from tui.theme import THEMES

Level = Literal["information", "warning", "error"]


class FootplateApp(App[int], inherit_bindings=False):
    """The whole screen. `open_engine` is called after the first paint, in a thread, because it imports much."""

    TITLE = "Footplate"
    CSS_PATH: ClassVar = [
        "app.tcss",
        "screens/chat.tcss",
    ]  # here, so that styles are parsed once, before the first frame
    MODES: ClassVar = {"chat": ChatScreen}
    DEFAULT_MODE = "chat"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.APP),
        Binding("ctrl+c", "quit_hint", show=False, system=True),
    ]

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        settings: TuiSettings,
        keymap: Mapping[str, str],
        *,
        model: str | None = None,
        api: bool = False,
        api_key: str | None = None,
    ) -> None:
        super().__init__()
        self.animation_level = "none"  # a slow link has better things to carry
        self._disable_tooltips = True  # Textual would read markup in the cells of a model's tables
        self._model_wanted = model
        self._api_wanted = api
        self._api_key = api_key
        self.view = HostView()
        """What is known of the host."""
        self._open_engine = open_engine
        self._engine: Engine | None = None
        self._settled = asyncio.Event()
        """The engine is attached, or there is none."""
        self._settings = settings
        self._own_keys = dict(keymap)
        self.set_keymap(self._own_keys)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = settings.theme if settings.theme in self.available_themes else THEMES[0].name

    @property
    def engine(self) -> Engine:
        """The engine; there is one as soon as the first frame is painted."""
        if self._engine is None:
            self._engine = self._open_engine()
        return self._engine

    @property
    def chat(self) -> ChatScreen:
        """The chat screen."""
        return cast("ChatScreen", self.get_screen_stack("chat")[0])

    def on_mount(self) -> None:
        """Goes for the engine once the first frame is painted."""
        self.call_after_refresh(self._painted)

    def _painted(self) -> None:
        gc.freeze()  # what made the first frame stays; looking for garbage in it would delay every later one
        gc.enable()
        self.action_attach()

    def action_attach(self) -> None:
        """Connects to the engine, starting it when none runs."""
        self._show(HostView(models=self.view.models, conversations=self.view.conversations))
        self._follow()

    @work(exclusive=True, group="engine")
    async def _follow(self) -> None:
        if self._engine is None:
            self._engine = await asyncio.to_thread(self._open_engine)
        try:
            await self._engine.attach(start=True)
            if self._model_wanted is not None:
                self.ask(self._engine.select_model(self._model_wanted))
                self._model_wanted = None
            if self._api_wanted:
                self._api_wanted = False
                self.ask(self._open_api())
            await pump(self._engine.events(), self._deliver, self._settings.max_fps)
        except FootplateError as error:
            if self.view.connection != "lost":
                self._show(lose(self.view, error.info))

    async def ready(self) -> None:
        """Waits while the engine starts; raises the reason when there is none."""
        await self._settled.wait()
        if self.view.lost is not None:
            raise from_info(self.view.lost)

    def _deliver(self, events: list[Event]) -> None:
        for message in translate(self.view, events):
            self.post_message(message)

    def on_host_changed(self, message: HostChanged) -> None:
        """The state is kept here and shown by the screens."""
        self._show(message.view)

    def on_resynchronised(self) -> None:
        """The chat reads its conversation again."""
        self.chat.post_message(Resynchronised())

    def on_turns_moved(self, message: TurnsMoved) -> None:
        """The chat shows messages."""
        self.chat.post_message(TurnsMoved(message.events))

    def on_host_notice(self, message: HostNotice) -> None:
        """Notices are shown beside the work."""
        notice = message.notice
        self.tell(notice.error.sentence() if notice.error else notice.text, notice.level)

    def _show(self, view: HostView) -> None:
        self.view = view
        if view.connection == "connecting":
            self._settled.clear()
        else:
            self._settled.set()
        self.chat.post_message(HostChanged(view))
        if isinstance(self.screen, Picker):
            self.screen.reload()

    def tell(self, text: str, level: Level = "information") -> None:
        """Shows a sentence beside the work, for a while."""
        self.notify(clean(text), severity=level, markup=False)

    def ask(self, call: Awaitable[object], done: str = "") -> None:
        """Asks something of the engine; says `done` when it was done, or why it was not."""
        self.run_worker(self._ask(call, done), group="ask")

    async def _ask(self, call: Awaitable[object], done: str) -> None:
        try:
            await call
        except FootplateError as error:
            self.tell(error.info.sentence(), "error")
        else:
            if done:
                self.tell(done)

    def copy_to_clipboard(self, text: str) -> None:
        """Puts `text` on the clipboard of the terminal (OSC 52)."""
        self._clipboard = text
        if self._driver is not None:
            self._driver.write(osc52(text, os.environ))

    def action_palette(self) -> None:
        """Every command."""
        choices = partial(command_choices, self._own_keys, self.view.connection == "lost")
        self._pick("Commands", choices, "No such command.", self._command)

    async def _command(self, id_: str) -> None:
        action = next(command.action for command in COMMANDS if command.id == id_)
        await self.run_action(action, default_namespace=self.screen)

    def _pick(
        self, title: str, choices: Callable[[], Sequence[Choice]], empty: str, chosen: Callable[[str], object]
    ) -> None:
        """Shows a list, unless a question is open; `chosen` is called, or awaited, with the id of the choice."""

        async def done(id_: str | None) -> None:
            if id_ is not None and isawaitable(result := chosen(id_)):
                await result

        if not isinstance(self.screen, ModalScreen):
            self.push_screen(Picker(title, choices, empty), done)

    def action_pick_theme(self) -> None:
        """Chooses a theme."""
        choices = partial(theme_choices, self.available_themes, self.theme)
        self._pick("Themes", choices, "No theme of that name.", partial(setattr, self, "theme"))

    def action_quit_hint(self) -> None:
        """Ctrl+C copies, as in editors; who expects it to quit is told how to."""
        quit_ = next(command for command in COMMANDS if command.id == "quit")
        self.tell(" or ".join(key_name(key) for key in keys_of(quit_, self._own_keys)) + " quits.")

    def action_show_mode(self, mode: str) -> None:
        """Goes to a screen."""
        self.switch_mode(mode)

    def action_help(self) -> None:
        """Every key."""
        if not isinstance(self.screen, Help):
            self.push_screen(Help(self._own_keys))

    def action_switch_model(self) -> None:
        """Chooses the model that answers."""
        self._pick(
            "Models",
            lambda: model_choices(self.view),
            "No model of that name.",
            lambda model: self.ask(self._select_and_load(model)),
        )

    async def _select_and_load(self, model: str) -> None:
        await self.engine.select_model(model)
        await self.engine.load_model(model)

    def action_unload_model(self) -> None:
        """Ends the process that holds the active model."""
        if (worker := self.view.worker) is not None:
            self.ask(self.engine.unload_model(worker.model), f"{worker.model} is unloaded.")
        else:
            self.tell("No model is loaded.")

    def action_toggle_api(self) -> None:
        """Opens the API's port, or closes it."""
        self.ask(self._toggle_api())

    async def _toggle_api(self) -> None:
        if self.view.api is None or not self.view.api.enabled:
            await self._open_api()
        else:
            await self.engine.set_api(False)
            self.tell("The API is off.")

    async def _open_api(self) -> None:
        state = await self.engine.set_api(True, api_key=self._api_key)
        key = "with your key" if state.key_required else "no key is asked for"
        self.tell(f"The API is on at {state.url}, {key}.")

    def pick_conversation(self, open_now: int | None) -> None:
        """Chooses a conversation to open."""
        self._pick(
            "Conversations",
            lambda: conversation_choices(self.view, open_now, time.time()),
            "No conversation of that name.",
            lambda chosen: self.chat.open(int(chosen)),
        )

    def action_request_quit(self) -> None:
        """Quits; asks first when something runs that lives in the engine."""
        if isinstance(self.screen, Question):
            return
        if self.view.connection != "attached" or self.view.serve or not self.view.busy:
            self.exit(0)
            return
        self.push_screen(Question("Quit?", running(self.view), QUIT_ANSWERS), self._quit)

    def _quit(self, answer: str | None) -> None:
        if answer == "detach":
            self.exit(0)
        elif answer == "stop":
            self.run_worker(self._stop_and_exit(), group="ask")

    async def _stop_and_exit(self) -> None:
        try:
            await self.engine.stop_host(force=True)
        except FootplateError as error:
            self.tell(error.info.sentence(), "error")
        else:
            self.exit(0)

    async def on_unmount(self) -> None:
        """Lets go of the engine."""
        if self._engine is not None:
            await self._engine.close()
