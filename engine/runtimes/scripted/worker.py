"""The scripted runtime's backend: a batched stepper over answers out of a file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from engine.errors import InternalError, ModelLoadError
from engine.runtimes.scripted import faults
from engine.runtimes.scripted.pace import Pace
from engine.runtimes.scripted.script import Script, read
from engine.runtimes.scripted.sequences import Sequence as Running
from engine.runtimes.scripted.sequences import Slots
from engine.runtimes.scripted.spec import Options
from engine.runtimes.scripted.vocabulary import CONTROL, IM_END, IM_START, ScriptedVocabulary
from engine.text import chatml
from engine.types import LoadedFacts, WorkerStats
from engine.worker import child
from engine.worker.backend import Job, Step, TextModel
from engine.worker.protocol import Probed

_PAUSE_S = 0.01
_FILLER = "and so on "
_OBEYED = (
    *("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty", "seed"),
    *("typical_p", "repeat_last_n"),
)
"""What choosing among likely tokens means to a script, which knows one at each place: nothing."""


class ScriptedBackend:
    """Answers by the script; `frames` is the descriptor that the fault `garbage` is written to."""

    name = "scripted"
    library = "scripted 1"
    encoder = None

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self.vocabulary = ScriptedVocabulary()
        self.text = TextModel(template=chatml.TEMPLATE)
        self._script = Script()
        self._slots = Slots(0)
        self._pace = Pace(0)
        self._counted, self._since = 0, time.monotonic()

    def load(self, path: str, options: dict[str, Any], progress: Callable[[float, str], None]) -> LoadedFacts:
        """Reads the script and takes the time it says. Raises `CorruptModel`, or what the script's fault is."""
        self._script = script = read(path)
        self.vocabulary = ScriptedVocabulary(script.control)
        wanted = msgspec.convert(options, Options)
        self._wait(script.load_s, progress)
        if script.load_fault == "error":
            raise ModelLoadError(f"{path} could not be loaded: its script says so.")
        self._fail(script.load_fault)
        slots = wanted.slots or script.slots
        self.text = TextModel(
            template=script.template or chatml.TEMPLATE, eos=CONTROL[IM_END], defaults=script.sampling
        )
        self._slots = Slots(slots)
        self._pace = Pace(script.tok_per_s)
        return LoadedFacts(
            context=wanted.context or script.context,
            slots=slots,
            device="none",
            sampling=_OBEYED,
            logprobs=True,
        )

    def add(self, job: Job) -> None:
        """Queues a sequence."""
        self._slots.waiting.append(job)

    def step(self) -> Sequence[Step]:
        """One token for every sequence that runs, when it is time for one."""
        self._admit()
        if not self._pace.due():
            return []
        now = time.monotonic()
        steps = [step for running in list(self._slots.running.values()) for step in self._advance(running, now)]
        for step in steps:
            if step.finish is not None or step.error is not None:
                self._slots.leave(step.id)
        if self._script.prefill_tok_per_s and all(step.prefilled is not None for step in steps):
            time.sleep(_PAUSE_S)
        return steps

    def cancel(self, job_id: int) -> None:
        """Drops a sequence."""
        self._slots.leave(job_id)

    @property
    def busy(self) -> bool:
        """Whether any sequence runs or waits."""
        return bool(self._slots.running or self._slots.waiting)

    def rest(self) -> float | None:
        """Has no housekeeping."""
        return None

    def finish(self, seconds: float) -> None:
        """Has nothing that should outlive the process."""

    def stats(self) -> WorkerStats:
        """Live numbers; the rate is that since the last call."""
        now = time.monotonic()
        elapsed, counted = now - self._since, self._counted
        self._since, self._counted = now, 0
        return WorkerStats(
            running=len(self._slots.running),
            waiting=len(self._slots.waiting),
            context_used=sum(len(slot.history) for slot in self._slots.slots),
            decode_tok_s=counted / elapsed if elapsed > 0 else None,
        )

    def probe(self, path: str, options: dict[str, Any]) -> Probed:
        """Tries the script's load fault, if a script is given."""
        if path:
            self.load(path, options, lambda _fraction, _stage: None)
        return Probed(library=self.library, devices=("none",), features=("SCRIPT",))

    def _advance(self, running: Running, now: float) -> list[Step]:
        prefilled = running.prefill(now, self._script.prefill_tok_per_s)
        if prefilled is not None:
            return [prefilled]
        if running.fault == "error":
            return [Step(id=running.id, error=InternalError("The script says that this answer fails.").info)]
        self._fail(running.fault)
        self._counted += 1
        return [running.decode()]

    def _admit(self) -> None:
        while found := self._slots.next_job():
            job, slot = found
            reply = self._script.reply(self._last_user_text(job.tokens))
            tokens = self.vocabulary.answer(reply.text)
            filler = self.vocabulary.encode(_FILLER, special=False)
            self._slots.running[job.id] = Running(job, reply, tokens, filler, slot)

    def _last_user_text(self, tokens: tuple[int, ...]) -> str:
        """The last user block of a ChatML prompt; the whole of any other prompt."""
        blocks: list[list[int]] = [[]]
        for token in tokens:
            if token == IM_START:
                blocks.append([])
            elif token != IM_END:
                blocks[-1].append(token)
        texts = [self.vocabulary.text(block) for block in blocks]
        users = [text.removeprefix("user\n") for text in texts if text.startswith("user\n")]
        return users[-1].removesuffix("\n") if users else "".join(texts)

    def _fail(self, fault: str | None) -> None:
        if fault is not None:
            print(f"As the script says: {fault}", file=sys.stderr, flush=True)
        match fault:
            case "garbage":
                faults.garbage(self._frames)
            case "fatal":
                raise RuntimeError("the script says that the step fails")
            case "stall":
                faults.stall()
            case "deaf":
                faults.deaf()
            case "crash":
                faults.crash()
            case "memory":
                faults.memory()

    def _wait(self, seconds: float, progress: Callable[[float, str], None]) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            progress(1 - left / seconds, "loading")
            time.sleep(min(left, _PAUSE_S))
        progress(1.0, "loading")


if __name__ == "__main__":
    raise SystemExit(child.main(partial(ScriptedBackend, os.dup(1))))
