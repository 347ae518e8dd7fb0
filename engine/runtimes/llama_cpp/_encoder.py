"""Vectors and scores by llama.cpp: whole inputs, pooled by the library as the model's file says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

from engine.errors import InsufficientMemory, InternalError, ModelLoadError
from engine.models.kinds import Pooling
from engine.runtimes.llama_cpp._batch import Batch
from engine.runtimes.llama_cpp._model import Model
from engine.runtimes.llama_cpp.options import Options
from engine.text.guard import Guard
from engine.types import WorkerStats

_WARM_UP = 64
"""Tokens of the trial input: enough for the kernels that take 32 rows at a time."""
_NO_MEMORY = -2
"""What llama.cpp answers when it could not allocate what a pass takes."""
_RANKED_BY_TOKENS = frozenset({"qwen3", "qwen3vl"})
"""Architectures that score by the probabilities of their classes, the first of which is "to the point"."""
_FIELD = re.compile(r"\{(query|document)\}")


class LlamaEncoder:
    """A loaded model that pools (`engine.worker.backend.Encoder`)."""

    def __init__(self, file: Path, options: Options, progress: Callable[[float, str], None]) -> None:
        """Loads and warms up. Raises `ModelLoadError` or its kin."""
        self._model = model = Model(file, options, lambda fraction: progress(fraction, "loading"))
        self.vocabulary = model.vocabulary
        self.together, self.inputs = options.n_together, options.n_seq
        self._most = max(options.n_batch, options.n_seq)
        self._pooling = Pooling(lib.llama_pooling_type(model.context))
        self.ranks = self._pooling is Pooling.RANK
        self._check(file, options)
        self.dimensions: int = lib.llama_model_n_embd_out(model.handle)
        self._width = lib.llama_model_n_cls_out(model.handle) if self.ranks else self.dimensions
        self._probable = model.architecture in _RANKED_BY_TOKENS
        self._template = model.template("rerank") if self.ranks else None
        self._guard = Guard(model.vocabulary)
        self._batch = Batch(self._most, options.n_seq)
        self._left: list[tuple[int, Sequence[int], int]] = []
        self._rows: dict[int, NDArray[np.float32]] = {}
        progress(1.0, "warming up")
        self._warm_up(file, min(_WARM_UP, options.n_ctx))

    def tokens(self, text: str) -> tuple[int, ...]:
        """See the protocol."""
        return tuple(self._model.vocabulary.whole(text, special=False))

    def pair(self, query: str, document: str) -> tuple[int, ...]:
        """By the template for reranking that the file carries, else as cross-encoders read pairs."""
        if self._template is None:
            return tuple(self._model.vocabulary.pair(query, document))
        texts = {"query": self._guard.protect(query), "document": self._guard.protect(document)}
        return tuple(self._guard.tokens(_FIELD.sub(lambda found: texts[found[1]], self._template)))

    def begin(self, inputs: Sequence[tuple[int, ...]]) -> None:
        """Begins a batch; its inputs may go over several passes where the model reads from left to right."""
        self._model.forget()
        self._left = [(index, tokens, 0) for index, tokens in enumerate(inputs)]
        self._rows = {}

    def step(self) -> Sequence[NDArray[np.float32]] | None:
        """One pass. Raises `InsufficientMemory` or `InternalError`."""
        ended = self._fill()
        status = self._model.decode(self._batch.struct)
        if status:
            self._left = []
            self._model.forget()
            raise _failure(status, self._model.complaint())
        for sequence in ended:
            self._rows[sequence] = self._told(self._model.pooled(sequence, self._width))
        return None if self._left else [self._rows[index] for index in range(len(self._rows))]

    def stats(self) -> WorkerStats:
        """The memory that is taken."""
        return WorkerStats(memory=psutil.Process().memory_info().rss)

    def close(self) -> None:
        """Gives the model's memory back; the object is of no use afterwards."""
        self._model.close()

    def _fill(self) -> list[int]:
        """Writes the next pass; the inputs that end in it."""
        self._batch.clear()
        room, ended = self._most, []
        while self._left and room:
            sequence, tokens, position = self._left[0]
            piece = tokens[position : position + room]
            self._batch.add_whole(sequence, piece, position)
            room -= len(piece)
            if position + len(piece) < len(tokens):
                self._left[0] = (sequence, tokens, position + len(piece))
            else:
                ended.append(self._left.pop(0)[0])
        return ended

    def _told(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """A vector as it is; of a classifier's output the score, between 0 and 1."""
        if not self.ranks:
            return row
        if self._probable:
            return row[:1]
        score: NDArray[np.float32] = 1 / (1 + np.exp(-row[:1].clip(-80, 80)))
        return score

    def _check(self, file: Path, options: Options) -> None:
        if self._pooling is Pooling.NONE:
            raise ModelLoadError(
                f"{file.name} does not say how it makes one vector of a text.",
                meaning="The metadata names no pooling, so there is a vector for each token only.",
                remedy="Convert the model again with the file that says it (1_Pooling/config.json), "
                "or get a GGUF file that has it.",
            )
        classes = lib.llama_model_n_cls_out(self._model.handle)
        if self.ranks and classes > 1 and self._model.architecture not in _RANKED_BY_TOKENS:
            raise ModelLoadError(
                f"{file.name} sorts texts into {classes} classes and scores no documents.",
                remedy="Choose a reranker.",
            )
        piecewise = lib.llama_get_causal_attn(self._model.context) and (self._pooling is Pooling.LAST or self.ranks)
        if not piecewise and self._most < options.n_ctx:
            raise InternalError(f"{file.name} was planned with passes of {self._most} tokens and reads texts at once.")

    def _warm_up(self, file: Path, count: int) -> None:
        self.begin([tuple(token % self.vocabulary.size for token in range(count))])
        try:
            while (rows := self.step()) is None:
                continue
        except (InsufficientMemory, InternalError) as error:
            raise ModelLoadError(f"{file.name} is loaded but computes nothing: {error}") from error
        if not np.isfinite(rows[0]).all():
            raise ModelLoadError(
                f"{file.name} is loaded but computes what is no number.",
                remedy="Download or convert it again, or choose another quantization.",
            )
        self._model.forget()


def _failure(status: int, complaint: str) -> InsufficientMemory | InternalError:
    if status == _NO_MEMORY:
        return InsufficientMemory(
            f"There is not enough memory for these inputs: {complaint or 'llama.cpp gave no reason'}.",
            remedy="Send shorter ones, or unload another model.",
        )
    return InternalError(f"llama.cpp could not compute these inputs: {complaint or status}.")
