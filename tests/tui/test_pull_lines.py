"""How `footplate pull` shows a job: bars, lines for logs, JSON."""

from __future__ import annotations

import io
import json

import pytest
from msgspec.structs import replace

from engine.types import FileState, JobFile, JobInfo, JobState
from tui.pull import Bar, JsonLines, Lines, line, outcome

JOB = JobInfo(
    id=1,
    kind="download",
    title="me/model-GGUF:Q4_K_M",
    state=JobState.RUNNING,
    created=0.0,
    done=3 * 2**30 // 2,
    total=3 * 2**30,
    rate=50.0 * 2**20,
    left_s=31.0,
    files=(JobFile(name="a", state=FileState.DONE), JobFile(name="b", state=FileState.LOADING)),
    folder="/models/me/model-GGUF",
)


def test_a_line_says_how_far_how_fast_and_how_long() -> None:
    told = line(JOB, 120, bar=True)
    for part in (
        "me/model-GGUF:Q4_K_M",
        "[############------------]",
        "50%",
        "1.5 GiB of 3 GiB",
        "50 MiB/s",
        "31 s left",
    ):
        assert part in told
    assert "1/2 files" in told


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_a_line_fits_and_holds_no_control_characters(width: int) -> None:
    job = replace(
        JOB, title="me/" + "long" * 40 + "\x1b[2J", note="The connection to x\x07 was lost; trying again in 2 s."
    )
    told = line(job, width, bar=True)
    assert len(told) <= width
    assert told.isprintable()


def test_what_is_not_known_is_not_shown() -> None:
    told = line(replace(JOB, total=None, rate=None, left_s=None, files=()), 80, bar=True)
    assert "%" not in told
    assert "left" not in told
    assert "1.5 GiB" in told


def test_a_log_gets_a_line_for_each_tenth() -> None:
    out = io.StringIO()
    lines = Lines(out)
    for done in range(0, 1001):
        lines.show(replace(JOB, done=done, total=1000))
    assert len(out.getvalue().splitlines()) == 11


def test_a_bar_is_written_over_and_ended_once() -> None:
    out = io.StringIO()
    bar = Bar(out)
    bar.show(JOB)
    bar.show(JOB)
    bar.close()
    bar.close()
    assert out.getvalue().count("\r") == 2
    assert out.getvalue().count("\n") == 1


def test_json_is_one_object_a_line() -> None:
    out = io.StringIO()
    JsonLines(out).show(JOB)
    assert json.loads(out.getvalue())["title"] == JOB.title
    assert out.getvalue().count("\n") == 1


def test_the_outcome_names_the_folder_and_the_model() -> None:
    done = replace(JOB, state=JobState.DONE, models=("model-Q4_K_M",))
    assert outcome(done) == "me/model-GGUF:Q4_K_M is in /models/me/model-GGUF.\nUse it as model-Q4_K_M."
    assert outcome(replace(done, models=())) == "me/model-GGUF:Q4_K_M is in /models/me/model-GGUF."
    assert outcome(replace(JOB, state=JobState.CANCELLED)) == "me/model-GGUF:Q4_K_M is cancelled."
