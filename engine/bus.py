"""The event bus: whoever subscribes gets a snapshot, then every event, coalesced while it is slow.

Deltas of one message are concatenated while they wait; of `StatusChanged`, `TurnPrefill`, `JobProgress` and a worker's
unchanged state only the newest waits. Everything else is kept in order. A subscriber with more than `LIMIT` events
waiting is cut off: it has lost nothing that a new snapshot would not give it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import count

import msgspec

from engine.events import Envelope, Event, JobProgress, Snapshot, StatusChanged, TurnDelta, TurnPrefill, WorkerChanged

LIMIT = 1000
"""Events that may wait for one subscriber."""


class CutOff(Exception):
    """The subscriber fell too far behind (or the bus was closed); it has to begin again with a snapshot."""


class Bus:
    """Where every part publishes and every screen subscribes. Used from the event loop's thread only."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.epoch = secrets.token_hex(8)
        self._limit = limit
        self._subscriptions: set[Subscription] = set()

    def publish(self, event: Event) -> None:
        """Gives `event` to every subscriber; never waits."""
        for subscription in tuple(self._subscriptions):
            if not subscription.put(event):
                self._subscriptions.discard(subscription)

    def subscribe(self, snapshot: Callable[[], Snapshot]) -> Subscription:
        """A subscription whose first event is `snapshot()`, taken now: no event is missed and none comes twice."""
        subscription = Subscription(self.epoch, self._limit)
        subscription.put(snapshot())
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Ends a subscription; ending it twice is harmless."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """Ends every subscription once it has read what already waits for it."""
        for subscription in tuple(self._subscriptions):
            subscription.end()
        self._subscriptions.clear()


class Subscription:
    """The events of one subscriber."""

    def __init__(self, epoch: str, limit: int) -> None:
        self._epoch = epoch
        self._limit = limit
        self._seq = count()
        self._waiting: OrderedDict[Hashable, Event | _Run] = OrderedDict()
        self._unique = count()
        self._worker_states: dict[str, tuple[Hashable, int]] = {}
        self._some = asyncio.Event()
        self._cut = False
        self.ended = False
        """The bus was closed: the host ends."""

    def put(self, event: Event) -> bool:
        """Queues `event`, merging it where that loses nothing; false when the subscriber is cut off."""
        key = self._key(event)
        waiting = self._waiting.get(key)
        if isinstance(event, TurnDelta):
            if isinstance(waiting, _Run):
                waiting.add(event)
            else:
                self._waiting[key] = _Run(event)
        else:
            self._waiting[key] = event
            if isinstance(event, StatusChanged | TurnPrefill | JobProgress):
                self._waiting.move_to_end(key)
        if len(self._waiting) > self._limit:
            self._cut = True
            self._waiting.clear()
        self._some.set()
        return not self._cut

    def end(self) -> None:
        """Raises `CutOff` in the reader after the events that already wait."""
        self.ended = True
        self._some.set()

    async def get(self) -> Envelope:
        """The next event; waits for one. Raises `CutOff`."""
        while not self._waiting:
            if self._cut or self.ended:
                raise CutOff
            self._some.clear()
            await self._some.wait()
        _, event = self._waiting.popitem(last=False)
        return Envelope(
            epoch=self._epoch, seq=next(self._seq), event=event.join() if isinstance(event, _Run) else event
        )

    def _key(self, event: Event) -> Hashable:
        match event:
            case StatusChanged():
                return "status"
            case TurnPrefill():
                return ("prefill", event.message)
            case JobProgress():
                return ("job", event.job.id)
            case TurnDelta():
                return ("delta", event.message)
            case WorkerChanged():
                return self._worker_key(event)
        return next(self._unique)

    def _worker_key(self, event: WorkerChanged) -> Hashable:
        """Equal for reports that follow each other without a change of state: of those, the newest says it all."""
        info = event.info
        state = (info.state, info.pid)
        last, number = self._worker_states.get(info.model, (None, 0))
        if state != last:
            number += 1
            self._worker_states[info.model] = (state, number)
        return ("worker", info.model, number)


class _Run:
    """Deltas of one message that wait together; joined when they are read, so that adding stays cheap."""

    def __init__(self, first: TurnDelta) -> None:
        self._deltas = [first]

    def add(self, delta: TurnDelta) -> None:
        self._deltas.append(delta)

    def join(self) -> TurnDelta:
        return msgspec.structs.replace(
            self._deltas[-1],
            offset=self._deltas[0].offset,
            text="".join(delta.text for delta in self._deltas),
            reasoning_offset=self._deltas[0].reasoning_offset,
            reasoning="".join(delta.reasoning for delta in self._deltas),
            tool_calls=tuple(piece for delta in self._deltas for piece in delta.tool_calls),
        )
