"""Templates of a model file that raise, loop, or make gigabytes: whoever asked is told, and the model goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from fixtures.shape_model import write_model
from workers import answer, ask, collect, ended, pid_of

from engine.errors import TemplateError, WorkerDied
from engine.runtimes.llama_cpp.spec import LlamaSpec
from engine.types import GenerateRequest, Hardware, ModelEntry, Sampling
from engine.worker.handle import WorkerHandle

HARDWARE = Hardware(cores=1, threads=1, memory=4_000_000_000, memory_free=4_000_000_000)
RAW = GenerateRequest(prompt="the hen", sampling=Sampling(temperature=0.0), max_tokens=8, ignore_eos=True)
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
TWINS = (
    "{% set n = namespace(a=[], b=[]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}"
    "{% endfor %}{{ n.a == n.b }}"
)


@asynccontextmanager
async def started(folder: Path, template: str) -> AsyncIterator[WorkerHandle]:
    path = write_model(folder / "shape.gguf", template=template)
    spec = LlamaSpec()
    plan = spec.plan(ModelEntry(id="shape", path=str(path), format="gguf", size=0), HARDWARE)
    worker = WorkerHandle(
        module=spec.worker_module, model="shape", path=str(path), plan=plan, log=folder / "worker.log"
    )
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('Only users may speak') }}", "does not take these messages: Only users may speak"),
        ("{{ messages[7].content.missing.more }}", "failed"),
        ("{% for %}", "cannot be read"),
        (LOOP, "ran longer than 5 seconds"),
        ("{% for i in range(99999) %}{{ 'x' * 1000000 }}{% endfor %}", "more than a prompt can hold"),
        (
            "{% set s = namespace(t='0123456789') %}{% for i in range(60) %}{% set s.t = s.t ~ s.t %}{% endfor %}",
            "stopped",
        ),
        ("{{ '%2000000000d' % 1 }}", "more than a prompt can hold"),
    ],
    ids=["raises", "fails", "no template", "loops", "writes gigabytes", "gathers gigabytes", "a wide number"],
)
async def test_a_bad_template_fails_its_request_alone(tmp_path: Path, template: str, words: str) -> None:
    async with started(tmp_path, template) as worker:
        pid, before = pid_of(worker), await answer(worker, RAW)
        with pytest.raises(TemplateError, match=f"The model's chat template .*{words}") as caught:
            await collect(worker, ask("hi"))
        assert caught.value.status == 400
        after = await answer(worker, RAW)
        assert after[0] == before[0] and pid_of(worker) == pid
        assert psutil.Process(pid).memory_info().rss < 800_000_000
        stats = await worker.stats()
        assert (stats.running, stats.waiting) == (0, 0)


async def test_a_loop_that_nothing_can_interrupt_ends_the_worker_in_time_and_names_the_template(tmp_path: Path) -> None:
    async with started(tmp_path, TWINS) as worker:
        pid = pid_of(worker)
        with pytest.raises(WorkerDied, match="chat template ran on"):
            await collect(worker, ask("hi"))
        assert ended(pid)
    async with started(tmp_path, TWINS) as worker:
        assert (await answer(worker, RAW))[0]
