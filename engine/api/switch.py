"""The API on TCP, opened and closed while the host runs."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from aiohttp import web

from engine.api.auth import hash_key
from engine.api.listener import Listener
from engine.bus import Bus
from engine.errors import BadInput, StartError
from engine.events import ApiChanged
from engine.presence import Presence
from engine.settings import SettingsStore
from engine.types import ApiState


class ApiSwitch:
    """The one owner of the TCP listener. While it is open the host stays."""

    def __init__(
        self,
        bus: Bus,
        presence: Presence,
        settings: SettingsStore,
        app: Callable[[Sequence[str], str], web.Application],
    ) -> None:
        """`app` makes the application for key hashes and the address it is to answer under."""
        self._bus = bus
        self._presence = presence
        self._settings = settings
        self._app = app
        self._changing = asyncio.Lock()
        self._listener: Listener | None = None
        self._holding = ExitStack()
        self.state = ApiState()

    async def open(self, host: str, port: int, key_hashes: Sequence[str]) -> ApiState:
        """Listens there instead of wherever it did.

        Raises `BadInput` for an address off this machine without a key, and `PortTaken` or `StartError` when the
        address cannot be had; the API is closed then.
        """
        async with self._changing:
            return await self._open(host, port, key_hashes)

    async def close(self) -> ApiState:
        """Stops listening and ends the requests under way."""
        async with self._changing:
            await self._close()
            return self._tell(ApiState())

    async def change(self, enabled: bool, *, host: str | None, port: int | None, api_key: str | None) -> ApiState:
        """Opens or closes the API. Address and key, where given, are stored in the settings for later, too.

        An `api_key` replaces every earlier one; an empty one means that none is asked for. Whether the API is open is
        this run's affair: the setting `api.enabled` says how a host starts. Raises as `open` does, and `SettingsError`.
        """
        given: dict[str, object] = {"host": host, "port": port}
        if api_key is not None:
            given["key_hashes"] = (hash_key(api_key),) if api_key else ()
        changes = {key: value for key, value in given.items() if value is not None}
        wanted = self._settings.preview("api", **changes).api
        _refuse_open_door(wanted.host, wanted.key_hashes)
        state = await (self.open(wanted.host, wanted.port, wanted.key_hashes) if enabled else self.close())
        if changes:
            await self._settings.change("api", **changes)
        return state

    async def _open(self, host: str, port: int, key_hashes: Sequence[str]) -> ApiState:
        _refuse_open_door(host, key_hashes)
        await self._close()
        try:
            self._listener = await Listener.tcp(self._app(key_hashes, host), host, port)
        except StartError as error:
            self._tell(ApiState(error=error.info))
            raise
        self._holding.enter_context(self._presence.hold("api"))
        return self._tell(ApiState(enabled=True, url=self._listener.url, key_required=bool(key_hashes)))

    async def _close(self) -> None:
        listener, self._listener = self._listener, None
        self._holding.close()
        if listener:
            await listener.close()

    def _tell(self, state: ApiState) -> ApiState:
        if state != self.state:
            self.state = state
            self._bus.publish(ApiChanged(api=state))
        return state


def _refuse_open_door(host: str, key_hashes: Sequence[str]) -> None:
    if not key_hashes and not _loopback(host):
        raise BadInput(
            f"The API is not opened on {host} without an API key.",
            meaning="That address can be reached from other machines, and anybody there could use your models.",
            remedy="Set a key (--api-key, FOOTPLATE_API_KEY or the Server screen), or keep to 127.0.0.1.",
            param="host",
        )


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
