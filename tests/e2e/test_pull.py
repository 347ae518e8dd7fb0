"""`footplate pull` through a real host: what it prints, kill -9 in the middle, a full disk, Ctrl+C."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import COMMAND, Footplate
from fixtures.hub import Fault, Hub
from fixtures.waiting import wait_until
from hosts import ended, kill

from engine.builtin import GUIDE

WEIGHTS = GUIDE.read_bytes()
NAME = "m-Q8_0.gguf"
HALF = 2_500_000


@pytest.fixture
def hub(footplate: Footplate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        hub.repos["me/x"] = {NAME: WEIGHTS, "README.md": b"hello"}
        yield hub


def pulling(*arguments: str) -> subprocess.Popen[str]:
    """A `footplate pull` in the background."""
    return subprocess.Popen(
        [*COMMAND, "pull", *arguments], env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def lines(text: str) -> list[dict[str, object]]:
    """The jobs that `--json` printed."""
    return [json.loads(line) for line in text.splitlines()]


def test_a_model_is_pulled_and_named(footplate: Footplate, hub: Hub) -> None:
    done = footplate.run("pull", "me/x")
    assert done.returncode == 0, done.stderr
    folder = footplate.home / "models" / "me" / "x"
    assert done.stdout == f"me/x:Q8_0 is in {folder}.\nUse it as m-Q8_0.\n"
    assert "100%" in done.stderr
    assert (folder / NAME).read_bytes() == WEIGHTS


def test_json_tells_every_step_and_the_exit_code_the_end(footplate: Footplate, hub: Hub) -> None:
    done = footplate.run("pull", "me/x:q8_0", "--json")
    told = lines(done.stdout)
    assert done.returncode == 0
    assert told[-1]["state"] == "done"
    assert told[-1]["models"] == ["m-Q8_0"]
    hub.gated.add("me/x")
    failed = footplate.run("pull", "me/x/README.md", "--json")
    assert failed.returncode == 1
    assert lines(failed.stdout)[-1]["error"]["code"] == "gated_model"  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("nonsense",), 2, "OWNER/NAME"),
        (("me/none",), 1, "There is no me/none"),
        (("me/x:Q2_K",), 1, "There are: Q8_0"),
        (("me/x", "--sha256", "0"), 2, "64"),
        ((), 2, "what"),
    ],
)
def test_what_cannot_be_pulled_is_one_sentence(
    footplate: Footplate, hub: Hub, arguments: tuple[str, ...], code: int, part: str
) -> None:
    done = footplate.run("pull", *arguments)
    assert done.returncode == code
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_after_kill_9_it_goes_on_where_it_was(footplate: Footplate, hub: Hub) -> None:
    hub.faults[NAME].append(Fault(hold_after=HALF))
    first = pulling("me/x", "--json")
    assert first.stdout is not None
    shown = 0
    while shown < HALF:
        shown = int(json.loads(first.stdout.readline())["done"])
    host = footplate.host()
    kill(host)
    wait_until(lambda: ended(host), "the host is dead")
    _, said = first.communicate(timeout=30)
    assert first.returncode == 1
    assert "goes on where it stopped" in said
    part = footplate.home / "models" / "me" / "x" / f"{NAME}.part"
    assert part.stat().st_size == HALF
    done = footplate.run("pull", "me/x", "--json")
    assert done.returncode == 0, done.stderr
    assert min(int(str(job["done"])) for job in lines(done.stdout)) >= HALF
    assert [asked.range for asked in hub.requests(NAME)] == [None, f"bytes={HALF}-"]
    assert part.with_name(NAME).read_bytes() == WEIGHTS
    assert not part.exists()


def test_a_host_that_starts_again_goes_on_by_itself(footplate: Footplate, hub: Hub) -> None:
    hub.faults[NAME].append(Fault(hold_after=HALF))
    with pulling("me/x") as first:
        wait_until(lambda: hub.sent[NAME] >= HALF, "half of it is sent")
        refused = footplate.run("stop")
        assert refused.returncode == 1
        assert "1 jobs" in refused.stderr
        assert footplate.run("stop", "--force").returncode == 0
        first.communicate(timeout=30)
        assert first.returncode == 1
    with subprocess.Popen(
        [*COMMAND, "--serve", "--port", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as serve:
        file = footplate.home / "models" / "me" / "x" / NAME
        wait_until(file.exists, "the download is finished")
        serve.terminate()
    assert file.read_bytes() == WEIGHTS


def test_ctrl_c_pauses(footplate: Footplate, hub: Hub) -> None:
    hub.faults[NAME].append(Fault(hold_after=HALF))
    with footplate.screen("pull", "me/x", columns=100) as screen:
        screen.wait_for("me/x:Q8_0", "44%", "2.38 MiB of 5.39 MiB")
        screen.send("\x03")
        screen.wait_for("is paused", "goes on where it stopped")
        assert screen.wait_exit() == 130
    assert footplate.run("pull", "me/x").returncode == 0
    assert hub.requests(NAME)[-1].range == f"bytes={HALF}-"


needs_mount = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting a tmpfs needs root"
)


@pytest.fixture
def small_disk(footplate: Footplate) -> Iterator[Path]:
    """The models folder on a disk of eight million bytes."""
    folder = footplate.home / "models"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8000k", "tmpfs", str(folder)], check=True)
    yield folder
    footplate.run("stop", "--force")
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@needs_mount
def test_a_disk_that_is_too_small_or_fills_up(footplate: Footplate, hub: Hub, small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(4_000_000))
    refused = footplate.run("pull", "me/x")
    assert refused.returncode == 1
    assert "5.65 MB are needed" in refused.stderr
    assert hub.requests(NAME) == []
    filler.unlink()
    hub.rate = 2e6
    with pulling("me/x") as first:
        part = small_disk / "me" / "x" / f"{NAME}.part"
        wait_until(lambda: part.exists() and part.stat().st_size > 500_000, "it is under way")
        filler.write_bytes(bytes(4_500_000))
        _, said = first.communicate(timeout=30)
        assert first.returncode == 1
    assert "is full" in said
    assert 500_000 < part.stat().st_size < len(WEIGHTS)
    kept = part.stat().st_size
    filler.unlink()
    hub.rate = None
    assert footplate.run("pull", "me/x").returncode == 0
    assert hub.requests(NAME)[-1].range == f"bytes={kept}-"
    assert part.with_name(NAME).read_bytes() == WEIGHTS
