"""EngineClient: how a screen or a command reaches the host of its home, and starts one when none runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from engine import version
from engine.client_jobs import JobCalls
from engine.errors import ErrorInfo, HostUnreachable, VersionMismatch, from_info
from engine.events import Envelope, Event, HostStopping
from engine.lock import holder, require_unix
from engine.paths import Paths
from engine.types import ApiState, Conversation, ConversationSummary, HostStatus, ModelEntry, WorkerInfo

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

ANSWER_S = 15.0
"""Seconds within which a living host answers."""
ATTACH_S = 30.0
"""Seconds that attaching may take, waiting for another host's beginning or end included."""
ENDING_S = 20.0
"""Seconds that a host may take to end its workers."""
_LOOK_S = 0.05
RECONNECT_S = 3.0
"""Seconds for which a lost stream of events is tried anew."""


class TurnStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a turn: where it goes on."""

    conversation: int
    message: int
    """The message that will hold the answer."""


class _Refused(msgspec.Struct, frozen=True):
    error: ErrorInfo


class EngineClient(JobCalls):
    """A connection to the host of one home. Every method raises `FootplateError`s and nothing else.

    Nothing is connected before it is needed, and only `attach` starts a host.
    """

    def __init__(self, paths: Paths, *, kind: str = "screen", answer_s: float = ANSWER_S) -> None:
        """`kind` is how the host counts this client's events: `screen`, or `script`, which is no attached screen.

        A host that takes longer than `answer_s` seconds to answer is taken to hang.
        """
        self._paths = paths
        self._answer_s = answer_s
        self._kind = kind
        self._session: aiohttp.ClientSession | None = None

    async def attach(self, start: bool) -> HostStatus:
        """Makes sure that a host of this version answers; starts one when none runs and `start` is true.

        Raises `HostUnreachable`, `VersionMismatch`, or the host's own reason for not starting.
        """
        from engine.launch import start_host  # noqa: PLC0415 - not needed where a host runs

        require_unix()
        clock = asyncio.get_running_loop().time
        deadline = clock() + ATTACH_S
        pause = 0.05
        while True:
            try:
                return self._same_version(await self._request("GET", "/control/status", None, HostStatus))
            except ConnectionError as error:
                if not start or clock() > deadline:
                    raise self._gone() from error
            if not await start_host(self._paths):
                await asyncio.sleep(pause)  # another host is just beginning or ending
                pause = min(2 * pause, 1.0)

    async def close(self) -> None:
        """Lets go of the host; work under way goes on there."""
        session, self._session = self._session, None
        if session:
            await session.close()

    async def status(self) -> HostStatus:
        """How the host is."""
        return await self._call("GET", "/status", HostStatus)

    async def models(self) -> tuple[ModelEntry, ...]:
        """Every model on this machine, looked for anew."""
        return await self._call("GET", "/models", tuple[ModelEntry, ...])

    async def select_model(self, model: str) -> ModelEntry:
        """Makes `model` the one that answers, now and at the next start."""
        return await self._call("POST", "/models/select", ModelEntry, {"model": model})

    async def load_model(self, model: str) -> WorkerInfo:
        """Loads `model`; returns when it is loaded."""
        return await self._call("POST", "/models/load", WorkerInfo, {"model": model}, patient=True)

    async def unload_model(self, model: str) -> None:
        """Ends the process that holds `model`."""
        await self._call("POST", "/models/unload", type(None), {"model": model}, patient=True)

    async def conversations(self) -> tuple[ConversationSummary, ...]:
        """All conversations, the one changed last first."""
        return await self._call("GET", "/conversations", tuple[ConversationSummary, ...])

    async def conversation(self, conversation: int) -> Conversation:
        """A conversation with its messages, and what is written of an answer up to now."""
        return await self._call("GET", f"/conversations/{conversation}", Conversation)

    async def new_conversation(self) -> ConversationSummary:
        """Begins an empty conversation."""
        return await self._call("POST", "/conversations", ConversationSummary, {})

    async def rename_conversation(self, conversation: int, title: str) -> ConversationSummary:
        """Gives a conversation another title."""
        return await self._call("PATCH", f"/conversations/{conversation}", ConversationSummary, {"title": title})

    async def delete_conversation(self, conversation: int) -> None:
        """Deletes a conversation with its messages."""
        await self._call("DELETE", f"/conversations/{conversation}", type(None))

    async def send_turn(self, text: str, conversation: int | None = None, model: str | None = None) -> TurnStarted:
        """Stores `text`, durably, and has a model answer; the events tell how that goes on.

        Without a `conversation` a new one begins; without a `model` the active one answers.
        """
        body = {"text": text, "conversation": conversation, "model": model}
        return await self._call("POST", "/turns", TurnStarted, body)

    async def stop_turn(self, conversation: int) -> None:
        """Ends the answer being written in `conversation`; what there is of it stays."""
        await self._call("POST", f"/turns/{conversation}/stop", type(None))

    async def set_api(
        self, enabled: bool, host: str | None = None, port: int | None = None, api_key: str | None = None
    ) -> ApiState:
        """Opens or closes the API on TCP. What is given is kept in the settings; an empty key asks for none."""
        body = {"enabled": enabled, "host": host, "port": port, "api_key": api_key}
        return await self._call("POST", "/api", ApiState, body)

    async def stop_host(self, force: bool = False) -> None:
        """Ends the host and its workers, and returns when they have ended. Works whatever the host's version is.

        Raises `Conflict` while something runs, unless `force`.
        """
        pid = (await self.status()).pid
        await self._call("POST", "/stop", type(None), {"force": force})
        for _ in range(round(ENDING_S / _LOOK_S)):
            if not _runs(pid):
                return
            await asyncio.sleep(_LOOK_S)
        raise HostUnreachable(
            f"The host (process {pid}) was asked to end and has not done so.", remedy=f"`kill -9 {pid}` ends it."
        )

    async def events(self) -> AsyncIterator[Event]:
        """A snapshot, then what changes; a new snapshot after each reconnection.

        Raises `HostUnreachable` when the host is gone, and `VersionMismatch`.
        """
        clock = asyncio.get_running_loop().time
        lost = clock()
        while True:
            try:
                async for event in self._stream():
                    yield event
                    if isinstance(event, HostStopping):
                        raise HostUnreachable("The host has ended.", meaning=event.reason)
                lost = clock()
            except ConnectionError as error:
                if clock() - lost > RECONNECT_S:
                    raise self._gone() from error
            await asyncio.sleep(0.1)

    async def _stream(self) -> AsyncIterator[Event]:
        import aiohttp  # noqa: PLC0415

        query = {"client": self._kind, "pid": str(os.getpid()), "version": version.installed()}
        try:
            async with asyncio.timeout(self._answer_s):
                socket = await self._open().ws_connect("http://footplate/control/events", params=query, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            self._same_version(await self.status())
            raise HostUnreachable(f"The host refused to tell its events: {error.message}.") from error
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error)) from error
        except TimeoutError as error:
            raise self._hung() from error
        async with socket:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    yield msgspec.json.decode(message.data, type=Envelope).event

    async def _call(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: dict[str, Any] | None = None,
        *,
        patient: bool = False,
    ) -> T:
        try:
            return await self._request(method, f"/control{path}", body, kind, patient=patient)
        except ConnectionError as error:
            raise self._gone() from error

    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None, kind: type[T], *, patient: bool = False
    ) -> T:
        """The answer as a `kind`; with `patient` it may take any time.

        Raises the host's error, `HostUnreachable` when it hangs, and `ConnectionError` when it is not there.
        """
        import aiohttp  # noqa: PLC0415

        data = None if body is None else msgspec.json.encode(body)
        try:
            async with (
                asyncio.timeout(None if patient else self._answer_s),
                self._open().request(method, f"http://footplate{path}", data=data) as response,
            ):
                text = await response.read()
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error)) from error
        except TimeoutError as error:
            raise self._hung() from error
        try:
            if response.status >= 400:
                raise from_info(msgspec.json.decode(text, type=_Refused).error)
            return msgspec.json.decode(text, type=kind)
        except msgspec.MsgspecError as error:
            raise HostUnreachable(
                f"This version does not understand what the host answered to {method} {path} ({response.status}).",
                remedy="End it with `footplate stop` and start again.",
            ) from error

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415

        if self._session is None:
            connector = aiohttp.UnixConnector(str(self._paths.socket))
            self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        return self._session

    def _same_version(self, status: HostStatus) -> HostStatus:
        mine = version.installed()
        if status.version != mine:
            raise VersionMismatch(
                f"The host that runs (process {status.pid}) is Footplate {status.version}, and this is {mine}.",
                remedy="End it with `footplate stop`, then start again.",
            )
        return status

    def _gone(self) -> HostUnreachable:
        return HostUnreachable("No host runs.", remedy="`footplate` starts one, and so does `footplate --serve`.")

    def _hung(self) -> HostUnreachable:
        pid = holder(self._paths.lock)
        return HostUnreachable(
            f"The host (process {pid or 'unknown'}) does not answer.",
            meaning="It hangs, or the machine is overloaded.",
            remedy=f"Wait a little, or end it with `kill {pid or 'PID'}` and start again.",
        )


def _runs(pid: int) -> bool:
    import psutil  # noqa: PLC0415

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
