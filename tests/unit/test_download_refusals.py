"""Downloads that meet refusals, redirections, plain addresses, full disks and limits; against the stand-in Hub."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from fixtures.downloading import FILE, NAME, WEIGHTS, Yard, error, yard
from fixtures.hub import Fault, Hub

from engine.errors import BadInput, FootplateError, HubUnreachable, NotFound
from engine.models import hub as metadata
from engine.models.download import room as room_module
from engine.settings import DownloadSettings
from engine.types import JobState


async def test_the_token_goes_to_the_hub_and_not_to_its_cdn(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.tokens.add("hf_secret")
    hub.gated.add("me/x")
    with Hub() as cdn:
        cdn.repos = hub.repos
        hub.cdn = cdn.elsewhere
        async with yard(tmp_path) as here:
            assert (await here.over(await here.pull("me/x"))).state is JobState.DONE
        assert [asked.authorization for asked in hub.requests(NAME)] == ["Bearer hf_secret"]
        assert [asked.authorization for asked in cdn.requests(NAME)] == [None]


async def test_an_expired_address_is_resolved_anew(hub: Hub, tmp_path: Path) -> None:
    with Hub() as cdn:
        cdn.repos = hub.repos
        hub.cdn = cdn.address
        cdn.faults[NAME].extend([Fault(drop_after=1_000_000), Fault(status=403)])
        async with yard(tmp_path) as here:
            assert (await here.over(await here.pull("me/x"))).state is JobState.DONE
            assert here.file(FILE).read_bytes() == WEIGHTS
        assert len(hub.requests(NAME)) == 3
        cdn.faults[NAME].extend([Fault(status=403)] * 10)
        other = tmp_path / "other"
        other.mkdir()
        async with yard(other) as here:
            assert "no longer accepts" in error(await here.over(await here.pull("me/x")))


async def test_gated_private_and_unknown_are_told_apart_in_words(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated.add("me/x")
    hub.private.add("me/hidden")
    hub.add("me/hidden", a__gguf=b"x")
    async with yard(tmp_path) as here:
        gated = error(await here.over(await here.pull("me/x")))
        assert "me/x is gated" in gated
        assert f"{hub.address}/me/x" in gated
        assert "HF_TOKEN" in gated
        assert here.names() == []
        with pytest.raises(NotFound, match=r"or it is private.*HF_TOKEN"):
            await here.pull("me/hidden")
        with pytest.raises(NotFound, match="no such revision"):
            await here.pull("me/x", revision="v9")
        hub.tokens.add("good")
        assert (await here.over(await here.pull("me/x", access="good"))).state is JobState.DONE
        monkeypatch.setenv("HF_TOKEN", "bad")
        with pytest.raises(FootplateError, match="does not accept the token"):
            await here.pull("me/hidden")
    assert "good" not in (tmp_path / "jobs.json").read_text()


async def test_offline_rate_limited_and_broken_hubs_are_said(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with yard(tmp_path) as here:
        hub.metadata_fault = Fault(status=429, headers={"Retry-After": "7"})
        monkeypatch.setattr(metadata, "ANSWER_S", 1.5)
        with pytest.raises(FootplateError) as limited:
            await here.pull("me/x")
        assert limited.value.info.code in {"rate_limited", "hub_unreachable"}
        hub.metadata_fault = Fault(status=500)
        with pytest.raises(HubUnreachable):
            await here.pull("me/x")
        hub.stop()
        with pytest.raises(HubUnreachable, match=r"cannot be reached|has not answered"):
            await here.pull("me/x")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(HubUnreachable):
            await here.pull("me/x")


async def test_a_server_that_wants_peace_gets_it(hub: Hub, tmp_path: Path) -> None:
    hub.faults[NAME].append(Fault(status=429, headers={"Retry-After": "0.4"}))
    async with yard(tmp_path) as here:
        job = await here.pull("me/x")
        await here.reached(job, lambda now: "fewer requests" in now.note or now.state.over)
        assert (await here.over(job)).state is JobState.DONE


async def test_an_address_is_fetched_resumed_and_checked(hub: Hub, tmp_path: Path) -> None:
    hub.plain["sub/model.gguf"] = WEIGHTS
    hub.faults["sub/model.gguf"].extend([Fault(), Fault(drop_after=1_000_000)])
    url = f"{hub.elsewhere}/plain/sub/model.gguf?key=secret"
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    async with yard(tmp_path) as here:
        job = await here.over(await here.pull(url, sha256=digest))
        assert job.state is JobState.DONE
        assert "secret" not in job.title
        assert here.file("localhost/model.gguf").read_bytes() == WEIGHTS
        assert hub.requests("sub/model.gguf")[-1].range is not None
        assert job.models == ("model",)
        wrong = await here.over(await here.pull(url, sha256="0" * 64))
        assert "not the file that was promised" in error(wrong)
        assert here.file("localhost/model.gguf").read_bytes() == WEIGHTS


async def test_an_answer_that_ends_too_soon_is_no_whole_file(hub: Hub, tmp_path: Path) -> None:
    hub.plain["a.gguf"] = WEIGHTS
    hub.faults["a.gguf"].extend([Fault(), Fault(drop_after=1_000_000), Fault(short=1000)])
    async with yard(tmp_path) as here:
        job = await here.over(await here.pull(f"{hub.elsewhere}/plain/a.gguf"))
        assert job.state is JobState.DONE
        assert here.file("localhost/a.gguf").read_bytes() == WEIGHTS
        assert len(hub.requests("a.gguf")) == 4


async def test_an_address_whose_content_changes_meanwhile_is_fetched_anew(hub: Hub, tmp_path: Path) -> None:
    hub.plain["a.gguf"] = WEIGHTS
    hub.faults["a.gguf"].extend([Fault(), Fault(hold_after=1_000_000)])
    async with yard(tmp_path) as here:
        job = await here.pull(f"{hub.elsewhere}/plain/a.gguf")
        await here.reached(job, lambda now: now.done == 1_000_000)
        await here.jobs.pause(job.id)
        hub.plain["a.gguf"] = WEIGHTS[::-1]
        assert (await here.over(await here.jobs.resume(job.id))).state is JobState.DONE
        assert here.file("localhost/a.gguf").read_bytes() == WEIGHTS[::-1]


async def test_the_name_that_a_server_suggests_stays_in_its_folder(hub: Hub, tmp_path: Path) -> None:
    hub.plain["get"] = b"content"
    evil = 'attachment; filename="../../../evil.gguf"'
    hub.faults["get"].extend([Fault(headers={"Content-Disposition": evil})] * 2)
    async with yard(tmp_path) as here:
        assert (await here.over(await here.pull(f"{hub.elsewhere}/plain/get"))).state is JobState.DONE
        assert here.names() == ["localhost/evil.gguf"]
        with pytest.raises(NotFound, match="nothing at"):
            await here.pull(f"{hub.elsewhere}/plain/none.gguf")


async def test_file_names_that_lead_elsewhere_are_never_used(hub: Hub, tmp_path: Path) -> None:
    hub.repos["me/evil"] = {"../../evil.gguf": b"x", "/abs.gguf": b"x", "ok.gguf": b"x"}
    async with yard(tmp_path) as here:
        job = await here.over(await here.pull("me/evil"))
        assert job.state is JobState.DONE
        assert here.names() == ["me/evil/ok.gguf"]
        with pytest.raises((NotFound, BadInput)):
            await here.pull("me/evil/../../evil.gguf")
        assert not (tmp_path / "evil.gguf").exists()


async def test_no_room_is_seen_before_a_byte_is_fetched(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(total=100_000_000, free=3_500_000)
    monkeypatch.setattr(room_module.shutil, "disk_usage", lambda path: usage)
    async with yard(tmp_path) as here:
        job = await here.over(await here.pull("me/x"))
        assert "3.00 MB are needed" in error(job)
        assert "2.50 MB can be used" in error(job)
        assert hub.requests(NAME) == []


async def test_the_limit_holds_for_all_downloads_together(hub: Hub, tmp_path: Path) -> None:
    hub.add("me/a", a__gguf=os.urandom(300_000))
    hub.add("me/b", b__gguf=os.urandom(300_000))
    async with yard(tmp_path, DownloadSettings(limit_mb_s=0.5)) as here:
        import time

        begun = time.monotonic()
        jobs = [await here.pull("me/a"), await here.pull("me/b")]
        for job in jobs:
            assert (await here.over(job)).state is JobState.DONE
        took = time.monotonic() - begun
        assert took >= 1.0, "600 kB at 500 kB/s take 1.2 s, the first block being free"


async def test_the_models_folder_cannot_be_written(hub: Hub, tmp_path: Path) -> None:
    async with yard(tmp_path) as here:
        here.models.mkdir()
        here.file("me").write_text("a file where a folder should be")
        assert "cannot be written" in error(await here.over(await here.pull("me/x")))


async def test_a_list_of_jobs_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "jobs.json").write_text("not JSON")
    with pytest.raises(FootplateError, match=r"jobs\.json"):
        Yard(tmp_path)
