"""The batched stepper over llama.cpp: one model, several sequences, one forward pass after the other."""

from __future__ import annotations

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
)
from engine.runtimes.llama_cpp._batch import Batch
from engine.runtimes.llama_cpp._draw import draw
from engine.runtimes.llama_cpp._model import Model
from engine.runtimes.llama_cpp._prefixes import open_prefixes
from engine.runtimes.llama_cpp._sampler import COMPLETE, DEAD_END, sampler
from engine.runtimes.llama_cpp._warm_up import warm_up
from engine.runtimes.llama_cpp.isolation import acquit, isolate, no_number
from engine.runtimes.llama_cpp.options import Options
from engine.runtimes.llama_cpp.pace import Pace, Rate
from engine.runtimes.llama_cpp.scheduler import Scheduler
from engine.runtimes.llama_cpp.slots import Piece, Slot
from engine.runtimes.llama_cpp.slots import Sequence as Running
from engine.runtimes.llama_cpp.speculation import Speculation
from engine.types import WorkerStats
from engine.worker.backend import Job, Step, TextModel


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
        self._scheduler = Scheduler(
            model, slots=options.n_seq, cells=model.cells, saved=self._saved, usual=options.adapters
        )
        self._sequences: dict[int, Running] = {}
        self._rate = Rate()
        self.vocabulary = model.vocabulary
        self.text = TextModel(
            template=model.template(),
            bos=model.spelling(lib.llama_vocab_bos),
            eos=model.spelling(lib.llama_vocab_eos),
            defaults=model.recommended(),
            infill=model.vocabulary.infill,
        )
        progress(1.0, "warming up")
        cuts = warm_up(model, self._batch, self._pace, options, file)
        self._speculation = Speculation(self._pace, options.draft_rows if cuts else 0)

    @property
    def device(self) -> str:
        """Where the model computes."""
        return device(self._options.n_gpu_layers)

    @property
    def reuse(self) -> Literal["any", "checkpoints"]:
        """Where a prefix that was saved can be taken up."""
        return "any" if self._model.partial else "checkpoints"

    @property
    def speculates(self) -> bool:
        """Whether tokens are guessed ahead."""
        return self._speculation.able

    def rest(self) -> float | None:
        """A piece of housekeeping while nothing runs; see the protocol."""
        return self._saved.rest(self._scheduler.usual_slots) if self._saved else None

    def finish(self, seconds: float) -> None:
        """Saves what is worth it before the process ends."""
        if self._saved:
            self._saved.close(self._scheduler.usual_slots, seconds)

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
        sequence = Running(job, sampler(self._model, job, self.text.defaults), list(job.tokens))
        sequence.guesses = self._speculation.guesses(job)
        self._sequences[job.id] = sequence
        self._scheduler.waiting.append(sequence)

    def step(self) -> Sequence[Step]:
        """One forward pass over every running sequence, and a token for each whose prompt is computed."""
        steps: list[Step] = []
        scheduler, model, budget = self._scheduler, self._model, self._options.n_batch
        guessing = True
        scheduler.admit()
        while scheduler.running:
            pieces = scheduler.compose(budget, self._pace.chunk)
            if guessing and not pieces[0].sequence.alone:
                pieces = self._speculation.extended(pieces, budget)
            rows = self._fill(pieces)
            started = time.perf_counter()
            model.adapt(pieces[0].sequence.adapters)
            status = model.decode(self._batch.struct)
            wanted = self._batch.wanted
            if status == 0 and not model.sound(wanted):
                steps.extend(self._fail(guilty, no_number(self._name)) for guilty in isolate(scheduler, model))
            elif status == 0:
                if wanted:
                    acquit(scheduler)
                scheduler.served(pieces[0].sequence.adapters)
                steps.extend(found := self._advance(pieces, rows))
                self._measure(pieces, found, time.perf_counter() - started)
                break
            elif status == 1 and any(piece.draft for piece in pieces):
                guessing = False
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

    def _fill(self, pieces: list[Piece]) -> list[int]:
        """Writes the batch; gives for each piece the row whose logits follow it, and those of its guesses next."""
        batch = self._batch
        batch.clear()
        rows = []
        for sequence, slot, start, end, draft in pieces:
            tokens = sequence.tokens
            if draft:
                rows.append(batch.add_guessed(slot.index, [tokens[start], *draft], start))
            elif start + 1 == len(tokens):
                rows.append(batch.add_token(slot.index, tokens[start], start))
            else:
                rows.append(batch.add_tokens(slot.index, tokens[start:end], start, last=end == len(tokens)))
        return rows

    def _advance(self, pieces: list[Piece], rows: list[int]) -> list[Step]:
        """Notes what was computed and draws the next tokens."""
        steps = []
        for piece, row in zip(pieces, rows, strict=True):
            sequence, slot, end = piece.sequence, piece.slot, piece.end
            slot.filled = end
            if self._saved and end in sequence.checkpoints:
                self._saved.keep(slot.index, sequence.tokens[:end], beside_streams=len(pieces) > 1)
            job = sequence.job
            cached = 0 if sequence.announced else sequence.cached
            sequence.announced = True
            if slot.filled < len(sequence.tokens):
                if not sequence.sampled:
                    steps.append(Step(id=job.id, prefilled=slot.filled, cached=cached))
                continue
            steps += self._take(piece, row, cached)
        return steps

    def _take(self, piece: Piece, row: int, cached: int) -> list[Step]:
        """Draws what follows a piece, and forgets the guesses that failed."""
        sequence, slot, draft, job = piece.sequence, piece.slot, piece.draft, piece.sequence.job
        drawn = draw(sequence, row, draft, self._model.logits, self.vocabulary.end_of_generation | {COMPLETE})
        sequence.tokens += drawn.tokens
        slot.filled += drawn.held
        if drawn.held < len(draft):
            self._model.truncate(slot.index, slot.filled)
        if sequence.guesses:
            sequence.guesses.judge(drawn.tokens, ended=drawn.end is not None)
        finish: Literal["stop", "length"] | None = "length" if sequence.sampled >= job.max_tokens else None
        dead = drawn.end == DEAD_END
        if drawn.end is not None:
            finish = None if dead else "stop"
        told = Step(
            id=job.id,
            tokens=drawn.tokens,
            finish=finish,
            cached=cached,
            logprobs=drawn.logprobs,
            drafted=len(draft),
            accepted=drawn.held,
        )
        if finish or dead:
            self._end(sequence)
        failed = [Step(id=job.id, error=_dead_end().info)] if dead else []
        return [told, *failed] if drawn.tokens or not dead else failed

    def _measure(self, pieces: list[Piece], steps: list[Step], seconds: float) -> None:
        self._speculation.measured(pieces, seconds)
        prompt = sum(piece.end - piece.start for piece in pieces if piece.end - piece.start > 1)
        if prompt:
            self._pace.measured(prompt, seconds)
        else:
            self._rate.note(sum(len(step.tokens) for step in steps), seconds)

    def _end(self, sequence: Running) -> Slot | None:
        del self._sequences[sequence.job.id]
        return self._scheduler.release(sequence)

    def _drop(self, pieces: list[Piece], error: FootplateError) -> list[Step]:
        """Fails every sequence of a step, and forgets what their slots hold: nobody knows how far it came."""
        for piece in pieces:
            self._end(piece.sequence)
            self._scheduler.forget(piece.slot)
        return [Step(id=piece.sequence.job.id, error=error.info) for piece in pieces]

    def _fail(self, sequence: Running, error: FootplateError) -> Step:
        """The last step of a sequence that is off its slot already."""
        del self._sequences[sequence.job.id]
        return Step(id=sequence.job.id, error=error.info)


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


def device(gpu_layers: int) -> str:
    """Where a model with so many layers on the graphics card computes."""
    return "GPU" if gpu_layers and lib.llama_supports_gpu_offload() else "CPU"


def devices() -> tuple[str, ...]:
    """What the library can compute on."""
    return ("CPU", "GPU") if lib.llama_supports_gpu_offload() else ("CPU",)


def features() -> tuple[str, ...]:
    """Instruction sets and abilities that the library was built with and finds here, in its own spelling."""
    info = lib.llama_print_system_info().decode("utf-8", "replace")
    settings = (part.rpartition(":")[2].partition("=") for part in info.split("|"))
    return tuple(name.strip() for name, _, value in settings if value.strip() == "1")
