"""LoRA adapters with llama.cpp: chosen by each request, side by side, and never mixed up in what is cached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.llama_backend import GREEDY, Outcome, alone, collect, job, load, prompt, run
from fixtures.lora_adapter import write_adapter
from fixtures.shape_model import write_model
from workers import answer, ask

from engine.errors import BadInput, CorruptModel, FootplateError, ModelLoadError
from engine.fleet.adapters import with_adapters
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.runtimes.llama_cpp.worker import LlamaBackend
from engine.settings import AdapterSettings
from engine.types import Adapter, AdapterWish, GenerateRequest, Hardware, ModelEntry
from engine.worker.backend import AdapterSet
from engine.worker.handle import WorkerHandle

BASE: AdapterSet = ()
PIRATE: AdapterSet = ((0, 1.0),)
LAWYER: AdapterSet = ((1, 1.0),)
BOTH: AdapterSet = ((0, 0.5), (1, 0.5))
LONG = "in the end " * 30


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_model(folder / "shape.gguf")
    write_adapter(folder / "pirate.gguf", seed=1)
    write_adapter(folder / "lawyer.gguf", seed=2)
    return folder


def adapted(files: Path, **options: Any) -> LlamaBackend:
    lora = [{"path": str(files / "pirate.gguf")}, {"path": str(files / "lawyer.gguf"), "scale": 0.0}]
    return load(files / "shape.gguf", lora=lora, **options)


def tokens(files: Path, adapters: AdapterSet, text: str = "the hen") -> list[int]:
    return alone(adapted(files), text, adapters=adapters, ignore_eos=True).tokens


def test_an_adapter_changes_the_answer_and_its_absence_does_not(files: Path) -> None:
    base = alone(load(files / "shape.gguf"), "the hen", ignore_eos=True).tokens
    found = [tokens(files, chosen) for chosen in (BASE, PIRATE, LAWYER, BOTH, ((0, 0.25),))]
    assert found[0] == base
    assert all(one != other for place, one in enumerate(found) for other in found[:place])


def test_the_facts_list_them(files: Path) -> None:
    lora = [{"path": str(files / "pirate.gguf"), "scale": 0.5}]
    facts = LlamaBackend().load(str(files / "shape.gguf"), {"n_ctx": 256, "lora": lora}, lambda _f, _s: None)
    assert facts.adapters == (Adapter(name="pirate", scale=0.5),)


def test_side_by_side_each_gives_what_it_gives_alone(files: Path) -> None:
    wanted = [(BASE, "the hen"), (PIRATE, LONG), (LAWYER, LONG), (PIRATE, "an inn"), (BOTH, "er"), (LAWYER, "the hen")]
    expected = [tokens(files, chosen, text) for chosen, text in wanted]
    backend = adapted(files, n_seq=4)
    jobs = [
        job(backend, text, number=number, adapters=chosen, ignore_eos=True)
        for number, (chosen, text) in enumerate(wanted)
    ]
    found = run(backend, jobs)
    assert [found[number].tokens for number in range(len(wanted))] == expected


def test_steps_take_turns(files: Path) -> None:
    backend = adapted(files, n_seq=3, speculation="off")
    found = {number: Outcome() for number in range(3)}
    for number, chosen in enumerate((PIRATE, LAWYER, PIRATE)):
        backend.add(job(backend, "the", number=number, adapters=chosen, max_tokens=60, ignore_eos=True))
    while not all(outcome.tokens for outcome in found.values()):
        collect(found, backend.step())
    before = [len(outcome.tokens) for outcome in found.values()]
    for _ in range(20):
        collect(found, backend.step())
    assert [len(outcome.tokens) - had for outcome, had in zip(found.values(), before, strict=True)] == [10, 10, 10]


def test_what_is_cached_serves_the_same_adapters_alone(files: Path) -> None:
    backend = adapted(files, n_seq=3)
    for chosen in (BASE, PIRATE, LAWYER):
        assert alone(backend, LONG, adapters=chosen).cached == 0
    for chosen in (LAWYER, BASE, PIRATE):
        again = alone(backend, LONG + "and", adapters=chosen, ignore_eos=True)
        assert again.cached >= len(prompt(backend, LONG)) - 1
        assert again.tokens == tokens(files, chosen, LONG + "and")


def test_a_slot_that_changes_its_adapters_begins_anew(files: Path) -> None:
    backend = adapted(files, n_seq=1)
    for chosen in (PIRATE, LAWYER, BASE):
        found = alone(backend, LONG, adapters=chosen, ignore_eos=True)
        assert (found.cached, found.tokens) == (0, tokens(files, chosen, LONG))


def test_saved_states_serve_the_usual_adapters_alone(files: Path, tmp_path: Path) -> None:
    saving = {"prefix_folder": str(tmp_path), "prefix_disk": 10**8, "prefix_memory": 10**8, "prefix_least_s": 0.0}
    backend = adapted(files, n_seq=1, **saving)
    alone(backend, LONG, adapters=PIRATE)
    alone(backend, "er" * 50, adapters=LAWYER)
    assert alone(backend, LONG + "and", adapters=LAWYER).cached <= 1  # the token that begins every prompt
    usual = alone(backend, LONG + "and", adapters=PIRATE, ignore_eos=True)
    assert usual.cached >= len(prompt(backend, LONG)) - 1
    assert usual.tokens == tokens(files, PIRATE, LONG + "and")
    backend.finish(5.0)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    other = load(files / "shape.gguf", n_seq=1, **saving)
    assert alone(other, LONG + "and").cached == 0, "without the adapter it is another model"


def damaged(folder: Path) -> Path:
    (folder / "damaged.gguf").write_bytes(b"GGUF\x03\x00")
    return folder / "damaged.gguf"


@pytest.mark.parametrize(
    ("write", "kind", "reason"),
    [
        (lambda folder: folder / "gone.gguf", ModelLoadError, "No such file"),
        (lambda folder: write_adapter(folder / "q.gguf", architecture="qwen2"), ModelLoadError, "'qwen2'.*'llama'"),
        (lambda folder: write_adapter(folder / "wide.gguf", width=32), ModelLoadError, "incorrect shape"),
        (lambda folder: write_adapter(folder / "deep.gguf", layers=3), ModelLoadError, "does not exist in base model"),
        (lambda folder: write_model(folder / "whole.gguf"), ModelLoadError, "general.type"),
        (damaged, CorruptModel, "damaged.gguf"),
    ],
)
def test_a_file_that_is_no_adapter_for_the_model_is_named_with_the_reason(
    files: Path, tmp_path: Path, write: Callable[[Path], Path], kind: type[FootplateError], reason: str
) -> None:
    path = write(tmp_path)
    with pytest.raises(kind, match=reason) as caught:
        load(files / "shape.gguf", lora=[{"path": str(path)}])
    assert path.name in str(caught.value)


async def test_a_worker_answers_as_the_settings_or_the_request_say(files: Path, tmp_path: Path) -> None:
    entry = ModelEntry(id="shape", path=str(files / "shape.gguf"), format="gguf", size=0)
    plan = LlamaSpec().plan(entry, Hardware(cores=1, memory_free=4_000_000_000), context=256, slots=2)
    settings = [AdapterSettings(path="pirate.gguf"), AdapterSettings(path="lawyer.gguf", scale=0.0)]
    plan = with_adapters(plan, entry, settings, files)
    worker = WorkerHandle(
        module=LlamaSpec.worker_module, model="shape", path=entry.path, plan=plan, log=tmp_path / "worker.log"
    )

    def asked(**fields: Any) -> GenerateRequest:
        return ask("the hen", sampling=GREEDY, max_tokens=12, ignore_eos=True, **fields)

    await worker.start()
    try:
        assert worker.info.facts is not None
        assert [adapter.name for adapter in worker.info.facts.adapters] == ["pirate", "lawyer"]
        unsaid, _ = await answer(worker, asked())
        named, _ = await answer(worker, asked(adapters=(AdapterWish(name="pirate"),)))
        other, _ = await answer(worker, asked(adapters=(AdapterWish(id=1),)))
        none, _ = await answer(worker, asked(adapters=()))
        with pytest.raises(BadInput, match=r"no adapter 'bard'.*pirate \(0\), lawyer \(1\)"):
            await answer(worker, asked(adapters=(AdapterWish(name="bard"),)))
    finally:
        await worker.stop()
    assert unsaid == named
    assert len({named, other, none}) == 3
