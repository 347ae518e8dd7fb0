"""Downloads against the stand-in Hub: what is fetched, resumed, verified, refused and left alone."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from fixtures.downloading import FILE, NAME, WEIGHTS, error, yard
from fixtures.hub import Fault, Hub

from engine.errors import Conflict, NotFound
from engine.models.download.backoff import Patience
from engine.settings import DownloadSettings
from engine.types import JobInfo, JobState


def never_back(told: list[JobInfo]) -> None:
    for before, after in itertools.pairwise(told):
        assert after.done >= before.done
        known = {file.name: file.done for file in before.files}
        assert all(file.done >= known.get(file.name, 0) for file in after.files)


async def test_a_model_is_fetched_placed_and_known_at_once(hub: Hub, tmp_path: Path) -> None:
    async with yard(tmp_path) as here:
        job = await here.over(await here.pull("me/x"))
        assert (job.state, job.title, job.error) == (JobState.DONE, "me/x:Q4_0", None)
        assert here.names() == [FILE]
        assert here.file(FILE).read_bytes() == WEIGHTS
        assert job.models == ("m-Q4_0",)
        assert here.catalog.find("m-Q4_0").path == str(here.file(FILE))
        assert job.done == job.total == len(WEIGHTS)
        never_back(here.told)


async def test_a_dropped_connection_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    hub.faults[NAME].extend([Fault(drop_after=1_000_000), Fault(status=503), Fault(drop_after=500_000)])
    async with yard(tmp_path) as here:
        job = await here.over(await here.pull("me/x"))
        assert job.state is JobState.DONE
        assert here.file(FILE).read_bytes() == WEIGHTS
        ranges = [asked.range for asked in hub.requests(NAME)]
        assert ranges[0] is None
        assert len(ranges) == 4
        assert ranges[1] == ranges[2] != ranges[3]
        never_back(here.told)


async def test_a_silent_connection_is_given_up_and_tried_again(hub: Hub, tmp_path: Path) -> None:
    hub.faults[NAME].append(Fault(hold_after=700_000))
    async with yard(tmp_path, patience=Patience(first_s=1.0, silent_s=0.3)) as here:
        job = await here.pull("me/x")
        await here.reached(job, lambda now: "silent" in now.note or now.state.over)
        assert (await here.over(job)).state is JobState.DONE
        assert hub.requests(NAME)[1].range == "bytes=700000-"


async def test_a_lost_network_comes_back(hub: Hub, tmp_path: Path) -> None:
    hub.rate = 4e6
    async with yard(tmp_path) as here:
        job = await here.pull("me/x")
        await here.reached(job, lambda now: now.done > 0)
        hub.stop()
        told = await here.reached(job, lambda now: "cannot be reached" in now.note)
        assert told.state is JobState.RUNNING
        hub.start()
        assert (await here.over(job)).state is JobState.DONE
        assert here.file(FILE).read_bytes() == WEIGHTS
        never_back(here.told)


async def test_a_network_that_stays_away_is_said_and_what_came_is_kept(hub: Hub, tmp_path: Path) -> None:
    hub.faults[NAME].append(Fault(drop_after=1_000_000))
    hub.faults[NAME].extend([Fault(status=503)] * 500)
    async with yard(tmp_path, patience=Patience(first_s=0.01, most_s=0.02, give_up_s=0.2)) as here:
        job = await here.over(await here.pull("me/x"))
        assert "answers 503" in error(job)
        assert "is kept" in error(job)
        hub.faults.clear()
        assert (await here.over(await here.jobs.resume(job.id))).state is JobState.DONE
        assert hub.requests(NAME)[-1].range is not None


async def test_a_new_list_of_jobs_goes_on_with_those_of_the_last(hub: Hub, tmp_path: Path) -> None:
    hub.faults[NAME].append(Fault(hold_after=1_000_000))
    async with yard(tmp_path) as here:
        job = await here.pull("me/x")
        await here.reached(job, lambda now: now.done == 1_000_000)
    assert here.names() == [f"{FILE}.part", f"{FILE}.part.json"]
    await here.catalog.scan()
    assert [entry.id for entry in here.catalog.models] == ["guide"]
    async with yard(tmp_path) as again:
        assert again.jobs.infos[0].state is JobState.QUEUED
        done = await again.over(job)
        assert done.state is JobState.DONE
        assert again.names() == [FILE]
        assert hub.requests(NAME)[-1].range == "bytes=1000000-"
        assert min(told.done for told in again.told) >= 1_000_000


async def test_wrong_bytes_are_fetched_once_more(hub: Hub, tmp_path: Path) -> None:
    hub.faults[NAME].append(Fault(wrong=True))
    async with yard(tmp_path) as here:
        job = await here.over(await here.pull("me/x"))
        assert job.state is JobState.DONE
        assert here.file(FILE).read_bytes() == WEIGHTS
        assert [asked.range for asked in hub.requests(NAME)] == [None, None]
        never_back(here.told)


async def test_wrong_bytes_twice_are_reported_and_never_become_a_model(hub: Hub, tmp_path: Path) -> None:
    hub.faults[NAME].extend([Fault(wrong=True)] * 2)
    async with yard(tmp_path) as here:
        job = await here.over(await here.pull("me/x"))
        assert job.error is not None
        assert job.error.code == "wrong_content"
        assert here.names() == []


async def test_a_small_file_is_verified_by_its_git_hash(hub: Hub, tmp_path: Path) -> None:
    hub.faults["README.md"].extend([Fault(wrong=True)] * 2)
    async with yard(tmp_path) as here:
        job = await here.over(await here.pull("me/x/README.md"))
        assert "not the file that was promised" in error(job)
        assert (await here.over(await here.jobs.resume(job.id))).state is JobState.DONE
        assert here.file("me/x/README.md").read_bytes() == b"hello"


async def test_a_damaged_part_does_not_survive(hub: Hub, tmp_path: Path) -> None:
    hub.faults[NAME].append(Fault(hold_after=1_000_000))
    async with yard(tmp_path) as here:
        job = await here.pull("me/x")
        await here.reached(job, lambda now: now.done == 1_000_000)
    with here.file(f"{FILE}.part").open("r+b") as part:
        part.write(b"damage")
    async with yard(tmp_path) as again:
        assert (await again.over(job)).state is JobState.DONE
        assert again.file(FILE).read_bytes() == WEIGHTS


async def test_a_part_of_another_version_is_not_continued(hub: Hub, tmp_path: Path) -> None:
    hub.faults[NAME].append(Fault(hold_after=1_000_000))
    async with yard(tmp_path) as here:
        job = await here.pull("me/x")
        await here.reached(job, lambda now: now.done == 1_000_000)
        await here.jobs.pause(job.id)
        hub.repos["me/x"][NAME] = WEIGHTS[::-1]
        newer = await here.over(await here.pull("me/x"))
        assert newer.id != job.id
        assert newer.state is JobState.DONE
        assert here.file(FILE).read_bytes() == WEIGHTS[::-1]


async def test_what_is_there_is_not_fetched_again_unless_it_is_wrong(hub: Hub, tmp_path: Path) -> None:
    async with yard(tmp_path) as here:
        here.file("me/x").mkdir(parents=True)
        here.file(FILE).write_bytes(WEIGHTS)
        assert (await here.over(await here.pull("me/x"))).state is JobState.DONE
        assert hub.requests(NAME) == []
        here.file(FILE).write_bytes(bytes(len(WEIGHTS)))
        assert (await here.over(await here.pull("me/x"))).state is JobState.DONE
        assert len(hub.requests(NAME)) == 1
        assert here.file(FILE).read_bytes() == WEIGHTS
        assert len(here.jobs.infos) == 1


async def test_a_server_without_ranges_sends_the_whole_again(hub: Hub, tmp_path: Path) -> None:
    hub.faults[NAME].extend([Fault(drop_after=1_000_000), Fault(whole=True)])
    async with yard(tmp_path) as here:
        assert (await here.over(await here.pull("me/x"))).state is JobState.DONE
        assert here.file(FILE).read_bytes() == WEIGHTS
        never_back(here.told)


async def test_pause_resume_and_cancel(hub: Hub, tmp_path: Path) -> None:
    hub.faults[NAME].append(Fault(hold_after=1_000_000))
    hub.faults[NAME].append(Fault(hold_after=500_000))
    async with yard(tmp_path) as here:
        job = await here.pull("me/x")
        await here.reached(job, lambda now: now.done == 1_000_000)
        assert (await here.jobs.pause(job.id)).state is JobState.PAUSED
        assert here.file(f"{FILE}.part").stat().st_size == 1_000_000
        again = await here.pull("me/x")
        assert again.id == job.id
        await here.reached(job, lambda now: now.done == 1_500_000)
        assert (await here.jobs.cancel(job.id)).state is JobState.CANCELLED
        assert list(here.models.iterdir()) == [], "empty folders are removed, too"
        with pytest.raises(Conflict, match="cancelled"):
            await here.jobs.pause(job.id)
        await here.jobs.remove(job.id)
        with pytest.raises(NotFound):
            await here.jobs.resume(job.id)


async def test_more_downloads_than_may_run_wait(hub: Hub, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        hub.add(f"me/{name}", m__gguf=name.encode() * 1000)
    hub.faults["m.gguf"].extend([Fault(hold_after=10)] * 2)
    async with yard(tmp_path, DownloadSettings(at_once=2)) as here:
        jobs = [await here.pull(f"me/{name}") for name in ("a", "b", "c")]
        for job in jobs[:2]:
            await here.reached(job, lambda now: now.done == 10)
        assert [job.state for job in here.jobs.infos] == ["queued", "running", "running"]
        await here.jobs.pause(jobs[0].id)
        assert (await here.over(jobs[2])).state is JobState.DONE


async def test_the_parts_of_a_model_appear_together_with_the_first_one_last(hub: Hub, tmp_path: Path) -> None:
    split = [f"big-Q8_0-0000{part}-of-00003.gguf" for part in (1, 2, 3)]
    hub.repos["me/big"] = {name: name.encode() * 1000 for name in [*split, "mmproj-F16.gguf"]}
    hub.faults[split[2]].append(Fault(hold_after=100))
    async with yard(tmp_path) as here:
        job = await here.pull("me/big:Q8_0")
        await here.reached(job, lambda now: [file.state for file in now.files].count("done") == 3)
        assert all(".part" in name for name in here.names())
        await here.jobs.pause(job.id)
        sent = dict(hub.sent)
        done = await here.over(await here.jobs.resume(job.id))
        assert done.state is JobState.DONE
        assert here.names() == sorted(f"me/big/{name}" for name in [*split, "mmproj-F16.gguf"])
        assert hub.sent[split[0]] == sent[split[0]], "what was verified is not fetched again"


async def test_a_shared_projector_is_not_taken_from_a_running_download(hub: Hub, tmp_path: Path) -> None:
    hub.repos["me/see"] = {"a-Q4_0.gguf": b"a" * 1000, "a-Q8_0.gguf": b"b" * 1000, "mmproj-F16.gguf": b"c" * 1000}
    hub.faults["mmproj-F16.gguf"].append(Fault(hold_after=400))
    async with yard(tmp_path) as here:
        small = await here.pull("me/see:Q4_0")
        await here.reached(small, lambda now: now.done == 1400)
        big = await here.pull("me/see:Q8_0")
        assert here.jobs.infos[0].state is JobState.QUEUED, "both would write the projector"
        await here.jobs.cancel(small.id)
        assert (await here.over(big)).state is JobState.DONE
        assert here.names() == ["me/see/a-Q8_0.gguf", "me/see/mmproj-F16.gguf"]
