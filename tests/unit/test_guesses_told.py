"""Guesses from the request to the usage: the wish, several tokens in one step, and what is told of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from fixtures.shape_model import write_model

from engine.api.openai.completions import decode_completion
from engine.api.openai.decode import decode_chat
from engine.api.openai.encode import timings, usage
from engine.errors import BadInput
from engine.fleet.prefix_folder import PrefixFolder
from engine.fleet.runtimes import Runtimes
from engine.paths import Paths
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.settings import CacheSettings, RuntimeSettings
from engine.text.stream import TextStream
from engine.types import Delta, Finish, Hardware, ModelEntry, Sampling, Timings, Usage
from engine.worker.backend import Job, Logprob, Step
from engine.worker.loop.prepare import Prepared, PreparedAnswer
from engine.worker.loop.session import Session
from engine.worker.protocol import Finished, Produced, Report

CHAT = {"messages": [{"role": "user", "content": "hi"}]}


class Letters:
    """A vocabulary of characters."""

    size = 1000

    def encode(self, text: str, *, special: bool) -> list[int]:
        return [ord(letter) for letter in text]

    def piece(self, token: int) -> bytes:
        return chr(token).encode()

    def spelling(self, token: int) -> str:
        return chr(token)


def session(*stops: str, answers: int = 1) -> Session:
    letters = Letters()
    prepared = [
        PreparedAnswer(
            job=Job(id=number + 1, tokens=(1,), sampling=Sampling(), max_tokens=100),
            stream=TextStream(letters.piece, stops=stops),
        )
        for number in range(answers)
    ]
    return Session(1, Prepared(answers=tuple(prepared)), letters, arrived=0.0)


def step(text: str, *, accepted: int, drafted: int = 8, **more: object) -> Step:
    tokens = tuple(map(ord, text))
    logprobs = tuple(Logprob(token=token, logprob=-1.0) for token in tokens)
    return Step(tokens=tokens, logprobs=logprobs, drafted=drafted, accepted=accepted, **{"id": 1, **more})  # type: ignore[arg-type]


def deltas(reports: list[Report]) -> list[Delta]:
    outputs = [report.output for report in reports if isinstance(report, Produced)]
    return [output for output in outputs if isinstance(output, Delta)]


def finish(reports: list[Report]) -> Finish:
    (found,) = (report.finish for report in reports if isinstance(report, Finished))
    return found


def test_what_comes_behind_a_stop_string_in_the_same_step_is_not_told_nor_counted() -> None:
    reports = session("END").take(step("one ENDtwo three", accepted=15), before=0, now=1)
    told = deltas(reports)
    assert "".join(delta.text for delta in told) == "one "
    assert b"".join(found.piece for delta in told for found in delta.logprobs) == b"one "
    assert finish(reports).reason == "stop"
    assert finish(reports).usage == Usage(prompt_tokens=1, completion_tokens=7, drafted_tokens=8, accepted_tokens=7)


def test_guesses_are_added_up_over_steps_that_brought_no_token_too() -> None:
    asked = session()
    asked.take(step("abc", accepted=2), before=0, now=1)
    reports = asked.take(step("", accepted=0, finish="stop"), before=1, now=2)
    assert finish(reports).usage == Usage(prompt_tokens=1, completion_tokens=3, drafted_tokens=16, accepted_tokens=2)


def test_an_answer_that_is_complete_hears_of_no_later_step() -> None:
    asked = session("END", answers=2)
    assert deltas(asked.take(step("END", accepted=2), before=0, now=1))
    assert asked.take(Step(id=1, error=BadInput("dead end").info), before=0, now=1) == []
    assert not asked.ended


def test_usage_and_timings_tell_them_in_the_names_clients_know() -> None:
    used = Usage(prompt_tokens=5, completion_tokens=9, drafted_tokens=8, accepted_tokens=6)
    assert usage(used)["completion_tokens_details"] == {
        "accepted_prediction_tokens": 6,
        "rejected_prediction_tokens": 2,
    }
    told = timings(used, Timings())
    assert (told["draft_n"], told["draft_n_accepted"]) == (8, 6)
    assert "completion_tokens_details" not in usage(Usage(prompt_tokens=5, completion_tokens=9))


@pytest.mark.parametrize(
    ("said", "meant"), [({}, None), ({"speculative.n_max": 0}, 0), ({"speculative.n_max": 4.0}, 4)]
)
def test_a_request_bounds_the_guesses(said: dict[str, object], meant: int | None) -> None:
    assert decode_chat(msgspec.json.encode(CHAT | said)).request.most_drafted == meant
    assert decode_completion(msgspec.json.encode({"prompt": "a"} | said)).request.most_drafted == meant


@pytest.mark.parametrize("said", [-1, 1.5, "many"])
def test_a_bound_that_is_none_is_refused_by_its_name(said: object) -> None:
    with pytest.raises(BadInput) as caught:
        decode_chat(msgspec.json.encode(CHAT | {"speculative.n_max": said}))
    assert caught.value.info.param == "speculative.n_max"


@pytest.mark.parametrize("wanted", [True, False])
def test_the_settings_switch_guesses_off(tmp_path: Path, wanted: bool) -> None:
    settings, cache = RuntimeSettings(speculation=wanted), CacheSettings()
    paths = Paths.find({"FOOTPLATE_HOME": str(tmp_path)})
    runtimes = Runtimes([LlamaSpec()], lambda: settings, paths, PrefixFolder(tmp_path, lambda: cache))
    model = write_model(tmp_path / "shape.gguf")
    plan = runtimes.plan(ModelEntry(id="shape", path=str(model), format="gguf", size=0), Hardware(cores=2))
    assert plan.options["speculation"] == ("auto" if wanted else "off")
