"""Adapters from the request and the settings to the worker; nothing is loaded here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.api.openai.decode import decode_chat
from engine.errors import BadInput, ModelLoadError, SettingsError
from engine.fleet.adapters import with_adapters
from engine.runtimes.llama_cpp.options import Options
from engine.runtimes.llama_cpp.scheduler import Scheduler
from engine.runtimes.llama_cpp.slots import Sequence
from engine.settings import AdapterSettings, parse
from engine.types import Adapter, AdapterWish, LoadPlan, ModelEntry, Sampling
from engine.worker.backend import AdapterSet, Job
from engine.worker.loop.adapters import adapter_set

LOADED = (Adapter(name="pirate"), Adapter(name="lawyer", scale=0.0), Adapter(name="poet", scale=0.5))
ENTRY = ModelEntry(id="shape", path="/models/shape.gguf", format="gguf", size=1)
PLAN = LoadPlan(runtime="llama_cpp", context=4096, slots=4, memory=1000)
CHAT = {"messages": [{"role": "user", "content": "hi"}]}


def wishes(*names: str | int, scale: float = 1.0) -> tuple[AdapterWish, ...]:
    return tuple(AdapterWish(**{"name" if isinstance(name, str) else "id": name}, scale=scale) for name in names)  # type: ignore[arg-type]


def test_a_request_that_says_nothing_has_them_as_they_were_loaded() -> None:
    assert adapter_set(None, LOADED) == ((0, 1.0), (2, 0.5))
    assert adapter_set((), LOADED) == ()


def test_they_are_chosen_by_name_or_id_whatever_the_order() -> None:
    assert adapter_set(wishes("poet", 1, scale=0.25), LOADED) == ((1, 0.25), (2, 0.25))
    assert adapter_set(wishes("pirate", scale=0.0), LOADED) == ()


@pytest.mark.parametrize(
    ("asked", "loaded", "said"),
    [
        (wishes("bard"), LOADED, r"no adapter 'bard'\. There are, with their ids: pirate \(0\), lawyer \(1\), poet"),
        (wishes(3), LOADED, "no adapter 3"),
        (wishes("poet"), (), "loaded without any"),
        (wishes("poet", 2), LOADED, "poet is named twice"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    asked: tuple[AdapterWish, ...], loaded: tuple[Adapter, ...], said: str
) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        adapter_set(asked, loaded)
    assert caught.value.info.param == "lora"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({}, None),
        ({"lora": None}, None),
        ({"lora": []}, ()),
        ({"lora": [{"name": "poet"}, {"id": 1.0, "scale": 0.5}]}, (*wishes("poet"), *wishes(1, scale=0.5))),
    ],
)
def test_a_body_names_them(said: dict[str, Any], meant: tuple[AdapterWish, ...] | None) -> None:
    assert decode_chat(msgspec.json.encode(CHAT | said)).request.adapters == meant


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({}, "lora[0]"),
        ({"name": "a", "id": 0}, "lora[0]"),
        ({"id": 1.5}, "lora[0].id"),
        ({"id": -1}, "lora[0].id"),
        ({"name": "a", "scale": 1000}, "lora[0].scale"),
    ],
)
def test_a_wish_that_is_none_is_refused_by_its_field(wish: dict[str, Any], param: str) -> None:
    with pytest.raises(BadInput) as caught:
        decode_chat(msgspec.json.encode(CHAT | {"lora": [wish]}))
    assert caught.value.info.param == param


def test_the_settings_list_them_under_the_models_id() -> None:
    text = '[runtime.lora]\n"qwen2.5 7b" = [{ path = "~/pirate.gguf" }, { path = "poet.gguf", scale = 0.5 }]\n'
    found = parse(text, Path("config.toml")).runtime.lora
    assert found == {
        "qwen2.5 7b": (AdapterSettings(path="~/pirate.gguf"), AdapterSettings(path="poet.gguf", scale=0.5))
    }


@pytest.mark.parametrize(
    "value", ['["a.gguf"]', '[{ path = "a.gguf", scle = 1.0 }]', "3", '[{ path = "a", scale = 1e9 }]']
)
def test_settings_that_are_not_understood_say_what_is(value: str) -> None:
    with pytest.raises(SettingsError, match=r"runtime\.lora.*must be a table of lists"):
        parse(f"[runtime.lora]\nmodel = {value}\n", Path("config.toml"))


def test_the_plan_names_the_files_and_counts_their_memory(tmp_path: Path) -> None:
    (tmp_path / "pirate.gguf").write_bytes(bytes(500))
    plan = with_adapters(PLAN, ENTRY, [AdapterSettings(path="pirate.gguf", scale=0.5)], tmp_path)
    options = msgspec.convert(plan.options, Options)
    assert [(each.name, each.path, each.scale) for each in options.lora] == [
        ("pirate", str(tmp_path / "pirate.gguf"), 0.5)
    ]
    assert options.adapters == ((0, 0.5),)
    assert plan.memory == 1500
    assert with_adapters(PLAN, ENTRY, [], tmp_path) is PLAN


@pytest.mark.parametrize(
    ("runtime", "paths", "said"),
    [
        ("llama_cpp", ["gone.gguf"], "gone.gguf of shape cannot be read: No such file"),
        ("llama_cpp", ["a/poet.gguf", "b/poet.gguf"], "Two adapters of shape are named poet"),
        ("scripted", ["gone.gguf"], "not run by llama.cpp"),
    ],
)
def test_a_list_that_cannot_be_kept_is_refused(tmp_path: Path, runtime: str, paths: list[str], said: str) -> None:
    with pytest.raises(ModelLoadError, match=said):
        with_adapters(
            msgspec.structs.replace(PLAN, runtime=runtime),
            ENTRY,
            [AdapterSettings(path=path) for path in paths],
            tmp_path,
        )


class Cache:
    """A KV cache that forgets nothing by itself."""

    shares = True

    def truncate(self, slot: int, length: int) -> bool:
        return True

    def copy(self, source: int, target: int, length: int) -> None:
        raise AssertionError("nothing is shared between different adapters")

    def continues(self, slot: int, length: int) -> bool:
        return True


def running(scheduler: Scheduler, *sets: AdapterSet) -> None:
    for number, adapters in enumerate(sets):
        job = Job(id=number, tokens=(7,) * 10, sampling=Sampling(), max_tokens=50, adapters=adapters)
        scheduler.waiting.append(Sequence(job, lambda _row: 0, list(job.tokens)))
    scheduler.admit()


def test_steps_take_turns_by_adapters_and_no_prefix_is_shared() -> None:
    scheduler, found = Scheduler(Cache(), slots=4, cells=1000), []
    running(scheduler, ((0, 1.0),), (), ((0, 1.0),), ((0, 0.5),))
    for _ in range(6):
        pieces = scheduler.compose(512, lambda _streams: 64)
        found.append([piece.sequence.job.id for piece in pieces])
        for piece in pieces:
            piece.slot.filled = piece.end
            if piece.sequence.rest == 0:
                piece.sequence.tokens.append(1)
        scheduler.served(pieces[0].sequence.adapters)
    assert found == [[0, 2], [1], [3]] * 2


def test_a_step_that_failed_keeps_its_turn() -> None:
    scheduler = Scheduler(Cache(), slots=2, cells=1000)
    running(scheduler, ((0, 1.0),), ())
    turns = [scheduler.compose(512, lambda _streams: 64)[0].sequence.job.id for _ in range(2)]
    assert turns == [0, 0]


def test_a_prompt_beside_streams_of_other_adapters_goes_in_small_pieces() -> None:
    scheduler, asked = Scheduler(Cache(), slots=2, cells=1000), []
    running(scheduler, (), ((0, 1.0),))
    stream = scheduler.running[0]
    assert stream.slot is not None
    stream.slot.filled = 9
    scheduler.served(())
    scheduler.compose(512, lambda streams: asked.append(streams) or 64)  # type: ignore[func-returns-value]
    assert asked == [True]
