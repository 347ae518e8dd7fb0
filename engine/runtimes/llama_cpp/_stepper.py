"""The batched stepper over llama.cpp: one model, several sequences, one forward pass after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import psutil
from llama_cpp import llama_cpp as lib

from engine.errors import (
    BadInput,
    ContextLengthExceeded,
    FootplateError,
    InsufficientMemory,
    InternalError,
    ModelLoadError,
)
from engine.runtimes.llama_cpp import scheduler as sched
from engine.runtimes.llama_cpp._batch import Batch
from engine.runtimes.llama_cpp._logprobs import logprobs
from engine.runtimes.llama_cpp._model import Model
from engine.runtimes.llama_cpp._prefixes import open_prefixes
from engine.runtimes.llama_cpp._sampler import COMPLETE, DEAD_END, sampler
from engine.runtimes.llama_cpp.isolation import acquit, isolate, no_number
from engine.runtimes.llama_cpp.options import Options
from engine.runtimes.llama_cpp.pace import Pace
from engine.types import WorkerStats
from engine.worker.backend import Job, Step, TextModel

_WARM_UP = 64
"""Tokens of the trial prompt: enough for the kernels of prefill (AMX takes 32 rows at a time)."""
_WARM_UP_S = 0.25
"""Longest whole step that is tried beforehand; slower models learn their pace from requests."""


class Stepper:
    """A loaded model and everything that runs on it; the methods are those of `engine.worker.backend.Backend`."""

    def __init__(self, file: Path, options: Options, progress: Callable[[float, str], None]) -> None:
        """Loads and warms up. Raises `ModelLoadError` or its kin."""
        self._options = options
        self._name = file.name
        self._model = model = Model(file, options, lambda fraction: progress(fraction, "loading"))
        self._batch = Batch(max(options.n_batch, options.n_seq), options.n_seq)
        self._pace = Pace(options.n_batch)
        self._saved = open_prefixes(model, file, options, self._pace)
        self._scheduler = sched.Scheduler(model, slots=options.n_seq, cells=model.cells, saved=self._saved)
        self._sequences: dict[int, sched.Sequence] = {}
        self._rate = _Rate()
        self.vocabulary = model.vocabulary
        self.text = TextModel(
            template=model.template(),
            bos=model.spelling(lib.llama_vocab_bos),
            eos=model.spelling(lib.llama_vocab_eos),
            defaults=model.recommended(),
            infill=model.vocabulary.infill,
        )
        progress(1.0, "warming up")
        self._warm_up(file)

    @property
    def device(self) -> str:
        """Where the model computes."""
        return "GPU" if self._options.n_gpu_layers and lib.llama_supports_gpu_offload() else "CPU"

    @property
    def reuse(self) -> Literal["any", "checkpoints"]:
        """Where a prefix that was saved can be taken up."""
        return "any" if self._model.partial else "checkpoints"

    def rest(self) -> float | None:
        """A piece of housekeeping while nothing runs; see the protocol."""
        return self._saved.rest(self._scheduler.slots) if self._saved else None

    def finish(self, seconds: float) -> None:
        """Saves what is worth it before the process ends."""
        if self._saved:
            self._saved.close(self._scheduler.slots, seconds)

    def close(self) -> None:
        """Gives the model's memory back; the object is of no use afterwards."""
        self._sequences.clear()
        self._model.close()

    def add(self, job: Job) -> None:
        """Queues a sequence. Raises `ContextLengthExceeded` or `BadInput` for one that cannot run."""
        if len(job.tokens) >= self._options.n_ctx:
            raise ContextLengthExceeded.of(self._options.n_ctx, len(job.tokens))
        if not job.tokens or min(job.tokens) < 0 or max(job.tokens) >= self.vocabulary.size:
            raise BadInput("The prompt is empty, or has tokens that are not in the model's vocabulary.")
        sequence = sched.Sequence(job, sampler(self._model, job, self.text.defaults), list(job.tokens))
        self._sequences[job.id] = sequence
        self._scheduler.waiting.append(sequence)

    def step(self) -> Sequence[Step]:
        """One forward pass over every running sequence, and a token for each whose prompt is computed."""
        steps: list[Step] = []
        scheduler, model = self._scheduler, self._model
        scheduler.admit()
        while scheduler.running:
            pieces = scheduler.compose(self._options.n_batch, self._pace.chunk)
            rows = self._fill(pieces)
            started = time.perf_counter()
            status = model.decode(self._batch.struct)
            wanted = self._batch.wanted
            if status == 0 and not model.sound(wanted):
                steps.extend(self._fail(guilty, no_number(self._name)) for guilty in isolate(scheduler, model))
            elif status == 0:
                if wanted:
                    acquit(scheduler)
                steps.extend(self._advance(pieces, rows))
                self._measure(pieces, time.perf_counter() - started)
                break
            elif status == 1:
                victim = scheduler.make_room()
                if victim is not None:
                    steps.append(self._fail(victim, _no_room(model.cells)))
            else:
                error = InternalError(f"llama.cpp could not compute a step: {model.complaint() or status}.")
                steps.extend(self._drop(pieces, error))
        return steps

    def cancel(self, job_id: int) -> None:
        """Drops a sequence; what it has computed stays cached."""
        sequence = self._sequences.pop(job_id, None)
        if sequence is not None:
            self._scheduler.release(sequence)

    @property
    def busy(self) -> bool:
        """Whether any sequence runs or waits."""
        return bool(self._sequences)

    def stats(self) -> WorkerStats:
        """Live numbers; a prefix that two slots share counts for both."""
        scheduler = self._scheduler
        return WorkerStats(
            running=len(scheduler.running),
            waiting=len(scheduler.waiting),
            context_used=sum(slot.filled for slot in scheduler.slots),
            decode_tok_s=self._rate.value if scheduler.running else None,
            memory=psutil.Process().memory_info().rss,
        )

    def _fill(self, pieces: list[sched.Piece]) -> list[int]:
        """Writes the batch; gives for each piece the row whose logits follow it."""
        batch = self._batch
        batch.clear()
        rows = []
        for sequence, slot, start, end in pieces:
            tokens = sequence.tokens
            if start + 1 == len(tokens):
                rows.append(batch.add_token(slot.index, tokens[start], start))
            else:
                rows.append(batch.add_tokens(slot.index, tokens[start:end], start, last=end == len(tokens)))
        return rows

    def _advance(self, pieces: list[sched.Piece], rows: list[int]) -> list[Step]:
        """Notes what was computed and draws the next tokens."""
        ends = self._model.vocabulary.end_of_generation | {COMPLETE}
        steps = []
        for (sequence, slot, _, end), row in zip(pieces, rows, strict=True):
            slot.filled = end
            if self._saved and end in sequence.checkpoints:
                self._saved.keep(slot.index, sequence.tokens[:end], beside_streams=len(pieces) > 1)
            job, tokens = sequence.job, sequence.tokens
            cached = 0 if sequence.announced else sequence.cached
            sequence.announced = True
            if slot.filled < len(tokens):
                if not sequence.sampled:
                    steps.append(Step(id=job.id, prefilled=slot.filled, cached=cached))
                continue
            likely = logprobs(self._model.logits(row), job.top_logprobs)
            token = sequence.sample(row)
            if token in ends:
                steps.append(Step(id=job.id, finish="stop", cached=cached))
                self._end(sequence)
                continue
            if token == DEAD_END:
                self._end(sequence)
                steps.append(Step(id=job.id, error=_dead_end().info))
                continue
            tokens.append(token)
            finish: Literal["length"] | None = "length" if sequence.sampled >= job.max_tokens else None
            steps.append(Step(id=job.id, tokens=(token,), finish=finish, cached=cached, logprobs=likely(token)))
            if finish:
                self._end(sequence)
        return steps

    def _measure(self, pieces: list[sched.Piece], seconds: float) -> None:
        prompt = sum(piece.end - piece.start for piece in pieces if piece.end - piece.start > 1)
        if prompt:
            self._pace.measured(prompt, seconds)
        else:
            self._rate.note(len(pieces), seconds)

    def _end(self, sequence: sched.Sequence) -> sched.Slot | None:
        del self._sequences[sequence.job.id]
        return self._scheduler.release(sequence)

    def _drop(self, pieces: list[sched.Piece], error: FootplateError) -> list[Step]:
        """Fails every sequence of a step, and forgets what their slots hold: nobody knows how far it came."""
        for piece in pieces:
            self._end(piece.sequence)
            self._scheduler.forget(piece.slot)
        return [Step(id=piece.sequence.job.id, error=error.info) for piece in pieces]

    def _fail(self, sequence: sched.Sequence, error: FootplateError) -> Step:
        """The last step of a sequence that is off its slot already."""
        del self._sequences[sequence.job.id]
        return Step(id=sequence.job.id, error=error.info)

    def _warm_up(self, file: Path) -> None:
        """Computes prompts and a token, so that the first request pays for nothing and the pace is known.

        A short prompt first; where that was quick, one as long as a step takes, which touches all compute buffers.
        """
        model, most = self._model, min(self._options.n_batch, self._options.n_ctx - 1)
        lib.llama_set_warmup(model.context, True)
        short = min(_WARM_UP, most)
        seconds = self._trial(file, 0, short)
        if seconds / short * most < _WARM_UP_S:
            model.truncate(0, 0)
            self._trial(file, 0, most)
        model.truncate(0, 0)  # wholly: a recurrent state cannot be cut
        lib.llama_set_warmup(model.context, False)
        self._trial(file, 0, 1)
        if not model.sound(1, throughout=True):
            raise no_number(file.name)
        model.truncate(0, 0)

    def _trial(self, file: Path, position: int, count: int) -> float:
        """Computes `count` tokens from `position` on in slot 0; the seconds it took."""
        self._batch.clear()
        self._batch.add_tokens(0, [token % self.vocabulary.size for token in range(count)], position, last=True)
        started = time.perf_counter()
        status = self._model.decode(self._batch.struct)
        seconds = time.perf_counter() - started
        if status:
            raise ModelLoadError(f"{file.name} is loaded but computes nothing: {self._model.complaint() or status}.")
        self._pace.measured(count, seconds)
        return seconds


class _Rate:
    """Tokens per second of decode, as a mean over about the last second."""

    def __init__(self) -> None:
        self.value: float | None = None

    def note(self, tokens: int, seconds: float) -> None:
        """Adds a step."""
        rate = tokens / max(seconds, 1e-9)
        weight = 1.0 if self.value is None else -math.expm1(-seconds)
        self.value = rate if self.value is None else self.value + weight * (rate - self.value)


def _no_room(cells: int) -> InsufficientMemory:
    return InsufficientMemory(
        f"The answer outgrew the KV cache of {cells} tokens.",
        meaning="The request was ended; the model goes on serving others.",
        remedy="Ask for less, or load the model with a larger context.",
    )


def _dead_end() -> BadInput:
    return BadInput(
        "The grammar led to a place where no token of the model goes on.",
        remedy="Allow more characters there, or choose another model.",
        param="grammar",
    )


def devices() -> tuple[str, ...]:
    """What the library can compute on."""
    return ("CPU", "GPU") if lib.llama_supports_gpu_offload() else ("CPU",)


def features() -> tuple[str, ...]:
    """Instruction sets and abilities that the library was built with and finds here, in its own spelling."""
    info = lib.llama_print_system_info().decode("utf-8", "replace")
    settings = (part.rpartition(":")[2].partition("=") for part in info.split("|"))
    return tuple(name.strip() for name, _, value in settings if value.strip() == "1")
