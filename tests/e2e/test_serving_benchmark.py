"""The serving benchmark with a real host of its own and a stand-in for llama-server."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from pathlib import Path

import psutil
import pytest
from fixtures.llama_server import llama_server
from fixtures.shape_model import write_model
from hosts import ended, until

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "serving.py"
SIZES = (
    "--seed",
    "1",
    "--threads",
    "1",
    "--slots",
    "2",
    "--context",
    "4096",
    "--single-tokens",
    "8",
    "--restart-tokens",
    "400",
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny.gguf", context=4096)


async def start(model: Path, *arguments: str) -> Process:
    command = [sys.executable, str(SCRIPT), str(model), *SIZES, "--output", str(model.parent / "out"), *arguments]
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)


async def test_both_get_the_same_requests_and_the_result_is_kept(model: Path) -> None:
    async with llama_server(model.name, slots=2, context=4096) as peer:
        only = ("--only", "single", "memory", "restart", "lookup")
        run = await start(
            model, "--peer", peer.url, "--rounds", "1", "--mixed-tokens", "4", "--lookup-tokens", "8", *only
        )
        out, err = await run.communicate()
    assert run.returncode == 0, err.decode()
    place = model.parent / "out" / "serving-tiny-single-memory-restart-lookup.json"
    result = json.loads(place.read_text())
    outcomes = {outcome["name"]: outcome for outcome in result["outcomes"]}
    assert list(outcomes) == ["single", "memory", "restart", "lookup"]
    assert result["settings"] | {"threads": 1, "slots": 2, "context": 4096} == result["settings"]

    ours, theirs = outcomes["single"]["rounds"].values()
    assert ours[0]["tokens"] == theirs[0]["tokens"] == [8]
    assert 40 <= ours[0]["prompt_tokens"][0] <= 130, "a vocabulary of bytes makes whole words of it, no more"
    assert outcomes["memory"]["values"]["Footplate"] > 20e6
    assert outcomes["memory"]["values"]["llama-server"] > 20e6, "this very process was not found by its port"

    (again,), (unseen,) = outcomes["restart"]["rounds"].values()
    assert abs(again["prompt_tokens"][0] - 400) < 40 and again["first_ttft_s"] > 0
    assert "first_ttft_s" not in unseen, "it cannot be restarted"
    assert outcomes["restart"]["ratio"] == pytest.approx(unseen["value"] / again["value"])
    assert "| decode, one stream (1 round) |" in place.with_suffix(".md").read_text() in out.decode()
    beginnings = Counter(body["messages"][0]["content"] for body in peer.bodies)
    assert len(beginnings) == len(peer.bodies) == 8 + 1 + 1 + 8 + 1, "a prompt was sent twice"


async def test_ctrl_c_ends_everything(model: Path) -> None:
    run = await start(model, "--rounds", "1000", "--only", "single")
    assert run.stdout is not None
    assert (await run.stdout.readline()).startswith(b"single      1  Footplate")
    started = psutil.Process(run.pid).children(recursive=True)
    assert len(started) >= 2, "a host and its worker"
    run.send_signal(signal.SIGINT)
    _, err = await run.communicate()
    assert (run.returncode, err) == (130, b"")
    await until(lambda: all(map(ended, started)), "host and worker have ended")
    assert not (model.parent / "out").exists()


async def test_a_peer_that_is_unlike_is_refused(model: Path) -> None:
    async with llama_server("other.gguf", slots=3, context=512) as peer:
        run = await start(model, "--peer", peer.url)
        _, err = await run.communicate()
    assert run.returncode == 1
    assert b"other.gguf with 3 slots of 512 tokens; Footplate has tiny.gguf with 2 slots of 4096" in err
    assert b"-np 2" in err and b"Traceback" not in err


async def test_a_server_that_does_not_start_is_told_with_its_reason(model: Path) -> None:
    program = model.parent / "llama-server"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && { echo version: 1; exit; }\necho no such luck >&2; exit 1\n')
    program.chmod(0o700)
    run = await start(model, "--llama-server", str(program))
    _, err = await run.communicate()
    assert run.returncode == 1
    assert b"llama-server ended while it was starting." in err and b"no such luck" in err
