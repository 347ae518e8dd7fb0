"""The training loop: one process per core, gradients averaged between them, a schedule bounded by processor time."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW, Muon, Optimizer

from engine.builtin.train import tokenizer
from engine.builtin.train.conversations import Author
from engine.builtin.train.facts import load_facts
from engine.builtin.train.model import Guide, Shape
from engine.builtin.train.rows import Batch, Rows

ROW = 1024
ROWS = {"packed": 2, "branched": 2}
"""Rows of one process in every step, all of `ROW` tokens, beside the long conversations."""
LONG = (1024, 1024, 2048)
"""The rows that are one long conversation, one in every step, in turns."""
MATRIX_RATE = 0.02
VECTOR_RATE = 0.004
WARM_UP = 0.015
DECAY_FROM = 0.35
"""From this share of the time on, the rates fall to nothing in a straight line."""


@dataclass(frozen=True)
class Run:
    """How one training run is to go."""

    folder: Path
    """Holds tokenizer.json; gets checkpoint.pt and log.jsonl."""
    minutes: float
    """Of processor time of the first process: a machine that is busy or stopped does not shorten the schedule."""
    seed: int
    processes: int
    start: Path | None = None
    """A checkpoint to start from."""
    weights: Path | None = None
    """A Hugging Face folder to take the weights from, and nothing else."""
    begin: float = 0.0
    """Where in the schedule the run begins, when it continues another."""
    save_every: float = 150.0
    """Seconds between checkpoints."""


def rate(progress: float) -> float:
    """The share of the full rates at `progress` of the time."""
    return min(1.0, (progress + 1e-3) / WARM_UP, (1.0 - progress) / (1.0 - DECAY_FROM))


def optimizers(model: Guide) -> list[Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    matrices = [p for layer in model.layers for p in layer.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if all(p is not matrix for matrix in matrices)]
    return [
        Muon(matrices, lr=MATRIX_RATE, momentum=0.95, weight_decay=0.1),
        AdamW(others, lr=VECTOR_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def loss_of(model: Guide, batch: Batch) -> Tensor:
    """The sum of the losses over what the model writes."""
    ids = batch.ids[:, :-1]
    with torch.autocast("cpu", torch.bfloat16):
        stream = model(ids) if batch.layout is None else model.packed(ids, batch.layout)
        logits = model.logits(stream[batch.written])
    return functional.cross_entropy(logits.float(), batch.ids[:, 1:][batch.written], reduction="sum")


class Worker:
    """One process of a run."""

    def __init__(self, run: Run, rank: int) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(run.seed)
        self.run, self.rank = run, rank
        self.shape = Shape()
        self.model = Guide(self.shape)
        self.optimizers = optimizers(self.model)
        self.model.stream = torch.bfloat16
        self.tokens_before, self.step, self.loss = 0, 0, 1.0
        if run.weights:
            saved = load_file(run.weights / "model.safetensors")
            self.model.load_state_dict({name.removeprefix("model."): part.float() for name, part in saved.items()})
        if run.start:
            self._resume(run.start)
        words = tokenizer.load(run.folder / "tokenizer.json")
        self.rows = Rows(Author(load_facts()), words, run.seed * 1000 + self.step * 10 + rank)

    def _resume(self, path: Path) -> None:
        state = torch.load(path, weights_only=False)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.tokens_before, self.step, self.loss = state["tokens"], state["step"], state.get("loss", 1.0)

    def train(self) -> None:
        """Steps until the processor time is used; the first process writes the log and the checkpoints."""
        saved = time.monotonic()
        begin, limit = time.process_time(), self.run.minutes * 60
        while True:
            share = (time.process_time() - begin) / limit
            progress = self._agreed(self.run.begin + (1 - self.run.begin) * share)
            if progress >= 1:
                break
            self._step(progress)
            now = time.monotonic()
            if self.rank == 0 and self.step % 20 == 0:
                self._log(progress, time.process_time() - begin)
            if self.rank == 0 and now - saved > self.run.save_every:
                saved = now
                self.save()
        if self.rank == 0:
            self.save()

    def _agreed(self, progress: float) -> float:
        """The first process's clock counts."""
        value = torch.tensor(progress, dtype=torch.float64)
        dist.broadcast(value, 0)
        return float(value)

    def _step(self, progress: float) -> None:
        batches = [getattr(self.rows, kind)(count, ROW) for kind, count in ROWS.items()]
        batches.append(self.rows.long(1, LONG[self.step % len(LONG)]))
        total = sum(int(batch.written.sum()) for batch in batches)
        loss_sum = 0.0
        for batch in batches:
            loss = loss_of(self.model, batch) / total
            loss.backward()
            loss_sum += float(loss.detach())
        self._average()
        for optimizer, full in zip(self.optimizers, (MATRIX_RATE, VECTOR_RATE), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = full * rate(progress)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
        self.step += 1
        self.loss = 0.95 * self.loss + 0.05 * loss_sum

    def _average(self) -> None:
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.run.processes
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def _log(self, progress: float, seconds: float) -> None:
        line = {
            "step": self.step,
            "tokens": self.tokens(),
            "seconds": round(seconds),
            "progress": round(progress, 4),
            "loss": round(self.loss, 4),
        }
        with (self.run.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def tokens(self) -> int:
        """Tokens trained on so far, by all processes."""
        return self.tokens_before + self.run.processes * self.rows.tokens

    def save(self) -> None:
        """Writes the checkpoint beside its place and moves it there."""
        target = self.run.folder / "checkpoint.pt"
        aside = target.with_suffix(".part")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "shape": asdict(self.shape),
                "tokens": self.tokens(),
                "step": self.step,
                "loss": self.loss,
            },
            aside,
        )
        aside.replace(target)


def _process(rank: int, run: Run) -> None:
    store = dist.FileStore(str(run.folder / "meeting"), run.processes)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=run.processes)
    Worker(run, rank).train()
    dist.destroy_process_group()


def train(run: Run) -> None:
    """The whole run."""
    (run.folder / "meeting").unlink(missing_ok=True)
    torch.multiprocessing.spawn(_process, args=(run,), nprocs=run.processes)
