"""Jobs and the Hub through the control API: what a screen does with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.hub import Fault, Hub
from hosts import attached, until, watching

from engine.builtin import GUIDE
from engine.errors import Conflict, NotFound
from engine.events import JobChanged, JobProgress, JobRemoved, ModelsChanged, Snapshot
from engine.settings import read
from engine.types import JobState

WEIGHTS = GUIDE.read_bytes()
NAME = "m-Q8_0.gguf"


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        hub.repos["me/x"] = {NAME: WEIGHTS, "m-Q4_0.gguf": b"GGUF"}
        yield hub


async def test_a_job_is_paused_resumed_cancelled_and_removed(home: Path, hub: Hub) -> None:
    hub.faults[NAME].append(Fault(hold_after=1_000_000))
    hub.faults[NAME].append(Fault(hold_after=1_000_000))
    async with attached() as client, watching(client) as watcher:
        job = await client.pull("me/x:Q8_0")

        async def reached(done: int) -> bool:
            return (await client.jobs())[0].done == done

        await until(lambda: reached(1_000_000), "a megabyte has come")
        assert (await client.status()).jobs == 1
        with pytest.raises(Conflict, match="1 jobs"):
            await client.stop_host()
        assert (await client.pause_job(job.id)).state is JobState.PAUSED
        assert (await client.status()).jobs == 0
        await client.resume_job(job.id)
        await until(lambda: reached(2_000_000), "two megabytes have come")
        assert (await client.cancel_job(job.id)).state is JobState.CANCELLED
        assert not list((home / "models").rglob("*.part*"))
        await client.remove_job(job.id)
        assert await client.jobs() == ()
        with pytest.raises(NotFound):
            await client.pause_job(job.id)
        states = [event.job.state for event in watcher.events if isinstance(event, JobChanged)]
        assert states == ["queued", "running", "paused", "queued", "running", "cancelled"]
        assert any(isinstance(event, JobProgress) for event in watcher.events)
        await until(lambda: isinstance(watcher.events[-1], JobRemoved), "its removal is told")


async def test_a_screen_that_comes_later_finds_the_job_and_the_model(home: Path, hub: Hub) -> None:
    async with attached() as client:
        await client.pull("me/x:Q8_0")

        async def over() -> bool:
            return (await client.jobs())[0].state is JobState.DONE

        async with watching(client) as watcher:
            await until(over, "it is done")
            first = watcher.events[0]
            assert isinstance(first, Snapshot)
            assert [job.title for job in first.jobs] == ["me/x:Q8_0"]
            known = [first.models, *(event.models for event in watcher.events if isinstance(event, ModelsChanged))]
            assert any(entry.id == "m-Q8_0" for models in known for entry in models)
        assert (await client.jobs())[0].models == ("m-Q8_0",)


async def test_the_hub_is_searched_and_its_variants_are_told(home: Path, hub: Hub) -> None:
    hub.gated.add("me/x")
    async with attached() as client:
        found = await client.search_hub("X")
        assert [(model.id, model.downloads, model.gated) for model in found] == [("me/x", 1000, True)]
        repo = await client.hub_repo("me/x")
        assert [(variant.name, variant.size) for variant in repo.variants] == [("Q4_0", 4), ("Q8_0", len(WEIGHTS))]
        with pytest.raises(NotFound):
            await client.hub_repo("me/none")


async def test_the_limit_is_kept_in_the_settings(home: Path, hub: Hub) -> None:
    async with attached() as client:
        assert (await client.limit_downloads(2.5)).limit_mb_s == 2.5
    assert read(home / "config" / "config.toml").downloads.limit_mb_s == 2.5
