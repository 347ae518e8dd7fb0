"""What the screen asks of an engine: the part of `engine.client.EngineClient` it uses, as a protocol.

The screen depends on this shape alone, so that a recording stand-in can take the client's place in its tests.
Every method raises `engine.errors.FootplateError` and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from engine.events import Event
from engine.types import ApiState, Conversation, ConversationSummary, HostStatus


class TurnStarted(Protocol):
    """The answer to a turn: where it goes on."""

    @property
    def conversation(self) -> int:
        """The conversation the turn belongs to."""

    @property
    def message(self) -> int:
        """The message that will hold the answer."""


class Engine(Protocol):
    """A client of the engine host."""

    async def attach(self, start: bool) -> object:
        """Connects to the host of this home, starting one when none runs and `start` is true."""

    async def close(self) -> None:
        """Lets go of the host; work under way goes on there."""

    def events(self) -> AsyncIterator[Event]:
        """A snapshot, then what changes; a new snapshot after each reconnection. Ends with `HostUnreachable`."""

    async def status(self) -> HostStatus:
        """What the host does."""

    async def select_model(self, model: str, /) -> object:
        """Makes `model` the one that answers."""

    async def load_model(self, model: str, /) -> object:
        """Loads `model` into memory."""

    async def unload_model(self, model: str, /) -> object:
        """Ends the process that holds `model`."""

    async def conversation(self, conversation: int, /) -> Conversation:
        """A conversation with all its messages."""

    async def new_conversation(self) -> ConversationSummary:
        """Begins an empty conversation."""

    async def rename_conversation(self, conversation: int, title: str, /) -> object:
        """Gives a conversation another title."""

    async def delete_conversation(self, conversation: int, /) -> object:
        """Deletes a conversation with its messages."""

    async def send_turn(self, text: str, conversation: int | None = None) -> TurnStarted:
        """Stores the user's `text` and has the active model answer it."""

    async def stop_turn(self, conversation: int, /) -> object:
        """Stops the answer being written in `conversation`."""

    async def set_api(self, enabled: bool, *, api_key: str | None = None) -> ApiState:
        """Opens or closes the API's TCP listener; a key given here is asked for from now on."""

    async def stop_host(self, force: bool = False) -> object:
        """Ends the host; `force` ends running work with it."""
