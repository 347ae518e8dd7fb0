from __future__ import annotations

import pytest

from engine.bus import Bus, CutOff, Subscription
from engine.events import Event, Notice, Snapshot, StatusChanged, TurnDelta, TurnPrefill, WorkerChanged
from engine.types import HostStatus, WorkerInfo, WorkerState

STATUS = HostStatus(version="1", pid=1, started=0.0, serve=False, home="/", active_model="guide")


def snapshot() -> Snapshot:
    return Snapshot(status=STATUS)


def delta(offset: int, text: str, *, message: int = 1) -> TurnDelta:
    return TurnDelta(conversation=1, message=message, offset=offset, text=text)


def worker(state: WorkerState, progress: float | None = None) -> WorkerChanged:
    return WorkerChanged(info=WorkerInfo(model="m", runtime="r", state=state, pid=7, progress=progress))


async def drain(subscription: Subscription, count: int) -> list[Event]:
    return [(await subscription.get()).event for _ in range(count)]


async def test_a_snapshot_comes_first_and_envelopes_are_counted() -> None:
    bus = Bus()
    subscription = bus.subscribe(snapshot)
    bus.publish(Notice(text="a"))
    first, second = await subscription.get(), await subscription.get()
    assert isinstance(first.event, Snapshot)
    assert second.event == Notice(text="a")
    assert (first.seq, second.seq) == (0, 1)
    assert first.epoch == second.epoch == bus.epoch


async def test_text_that_waits_is_joined_for_each_message() -> None:
    bus = Bus()
    subscription = bus.subscribe(snapshot)
    for event in (delta(0, "ab"), delta(0, "x", message=2), delta(2, "cd"), delta(4, "e")):
        bus.publish(event)
    _, one, two = await drain(subscription, 3)
    assert one == delta(0, "abcde")
    assert two == delta(0, "x", message=2)
    bus.publish(delta(5, "f"))
    assert await drain(subscription, 1) == [delta(5, "f")]


async def test_of_counts_and_progress_only_the_newest_waits() -> None:
    bus = Bus()
    subscription = bus.subscribe(snapshot)
    for done in (10, 20, 30):
        bus.publish(TurnPrefill(conversation=1, message=1, done=done, total=30))
        bus.publish(StatusChanged(status=STATUS))
    _, prefill, status = await drain(subscription, 3)
    assert isinstance(prefill, TurnPrefill)
    assert prefill.done == 30
    assert isinstance(status, StatusChanged)


async def test_states_of_a_worker_keep_their_order() -> None:
    bus = Bus()
    subscription = bus.subscribe(snapshot)
    for state, progress in (
        (WorkerState.LOADING, 0.1),
        (WorkerState.LOADING, 0.9),
        (WorkerState.READY, None),
        (WorkerState.BUSY, None),
        (WorkerState.READY, None),
    ):
        bus.publish(worker(state, progress))
    events = (await drain(subscription, 5))[1:]
    infos = [event.info for event in events if isinstance(event, WorkerChanged)]
    assert [info.state for info in infos] == ["loading", "ready", "busy", "ready"]
    assert infos[0].progress == 0.9


async def test_who_cannot_keep_up_is_cut_off_alone() -> None:
    bus = Bus(limit=5)
    slow, quick = bus.subscribe(snapshot), bus.subscribe(snapshot)
    for number in range(10):
        bus.publish(Notice(text=str(number)))
        await quick.get()
    with pytest.raises(CutOff):
        await slow.get()
    assert (await quick.get()).event == Notice(text="9")


async def test_a_closed_bus_delivers_what_waits_and_ends() -> None:
    bus = Bus()
    subscription = bus.subscribe(snapshot)
    bus.publish(Notice(text="last"))
    bus.close()
    assert (await drain(subscription, 2))[1] == Notice(text="last")
    with pytest.raises(CutOff):
        await subscription.get()
