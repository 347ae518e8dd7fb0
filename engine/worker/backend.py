"""The inner seam: what a local text runtime must offer to the child's loop, and the data that passes there.

Everything above it (templates, detokenizing, stop strings, tool calls, reasoning) is the same for every runtime and
lives in `engine.text`; a backend sees token ids in and token ids out. It is called from one thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct

from engine.errors import ErrorInfo
from engine.types import LoadedFacts, Sampling, WorkerStats
from engine.worker.protocol import Probed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AdapterSet = tuple[tuple[int, float], ...]
"""Adapters by their ids, ascending, with the scales at which they are applied; none has scale 0."""


class Job(Struct, frozen=True, kw_only=True):
    """One sequence to be generated."""

    id: int
    tokens: tuple[int, ...]
    """The whole prompt. The child has checked that it is not empty and leaves room for one token."""
    sampling: Sampling
    max_tokens: int
    """Already clipped to what is left of the context."""
    ignore_eos: bool = False
    """The end-of-generation tokens must not be sampled at all."""
    grammar: str = ""
    """A GBNF grammar that the answer must keep to; none when empty."""
    top_logprobs: int | None = None
    """As in `GenerateRequest`."""
    most_drafted: int | None = None
    """As in `GenerateRequest`."""
    adapters: AdapterSet = ()


class Logprob(Struct, frozen=True, kw_only=True):
    """A sampled token, and how likely it and the likeliest ones were, before any sampling parameter."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens and their log probabilities, falling."""


class Step(Struct, frozen=True, kw_only=True):
    """What one step brought for one sequence."""

    id: int
    tokens: tuple[int, ...] = ()
    """Newly sampled tokens, without an end-of-generation token."""
    finish: Literal["stop", "length"] | None = None
    """Set on a sequence's last step: `stop` for an end-of-generation token, `length` at `max_tokens`."""
    prefilled: int | None = None
    """While the prompt is computed: tokens of it done so far."""
    cached: int = 0
    """On the first step of a sequence: prompt tokens that were reused."""
    logprobs: tuple[Logprob, ...] = ()
    """One for each of `tokens`, where the job wants them."""
    drafted: int = 0
    """Tokens that were guessed ahead and computed in this step."""
    accepted: int = 0
    """How many of these, the first of `tokens`, were drawn indeed."""
    error: ErrorInfo | None = None
    """The sequence failed and is gone; others go on."""


class Vocabulary(Protocol):
    """The model's tokenizer, as far as text handling needs it."""

    @property
    def size(self) -> int:
        """How many tokens there are; their ids are 0 to `size - 1`."""
        ...

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`; with `special`, the spellings of control tokens become those tokens.

        Adds a beginning-of-sequence token only where the model wants one and `text` does not begin with it.
        """
        ...

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; may be a part of a UTF-8 character. Empty for control tokens."""
        ...

    def spelling(self, token: int) -> str:
        """How the vocabulary writes a token, control tokens too."""
        ...


class Infill(Struct, frozen=True, kw_only=True):
    """The control tokens with which a model is asked to fill a gap."""

    prefix: int
    suffix: int
    middle: int


class TextModel(Struct, frozen=True, kw_only=True):
    """What text handling needs to know about the loaded model."""

    template: str | None
    """Jinja source of the chat template; `None` when the model has none (a plain ChatML is used, and said)."""
    bos: str = ""
    eos: str = ""
    """Spelling of the tokens that templates refer to as `bos_token` and `eos_token`."""
    defaults: Sampling = Sampling()
    """The model's own recommended sampling."""
    infill: Infill | None = None
    """`None` for models that were not made to fill gaps."""


class Encoder(Protocol):
    """What turns whole texts into rows of numbers: the vector of each, or its score in one number.

    It computes one batch at a time, in one or more passes.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokenizer."""
        ...

    @property
    def together(self) -> int:
        """Most tokens that several inputs may share in a batch; a longer one is a batch of its own."""
        ...

    @property
    def inputs(self) -> int:
        """Most inputs of a batch."""
        ...

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens of a text with the special ones that belong at its ends; control tokens it spells are text."""
        ...

    def pair(self, query: str, document: str) -> tuple[int, ...]:
        """The tokens by which a document is scored against a query, likewise."""
        ...

    def begin(self, inputs: Sequence[tuple[int, ...]]) -> None:
        """Begins a batch; one that was begun before and is not done is dropped. No input exceeds the context."""
        ...

    def step(self) -> Sequence[NDArray[np.float32]] | None:
        """One pass; a row for each input when that was the last one.

        Raises `FootplateError` when the batch cannot be computed; others can.
        """
        ...

    def stats(self) -> WorkerStats:
        """Live numbers, as far as it knows them."""
        ...


class Backend(Protocol):
    """The batched stepper that a runtime's worker drives.

    Optional abilities are data in `LoadedFacts`, never a method that raises. A model that continues no text
    (`LoadedFacts.chat`) has an `encoder`, and of what is here only that and `load` are used.
    """

    name: str
    """The runtime's name, as in `spec.name`."""

    @property
    def library(self) -> str:
        """Name and version of the runtime library."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """The loaded model's tokenizer."""
        ...

    @property
    def encoder(self) -> Encoder | None:
        """What makes vectors or scores with the loaded model; `None` where it continues text."""
        ...

    @property
    def text(self) -> TextModel:
        """The loaded model's template and defaults."""
        ...

    def load(self, path: str, options: dict[str, Any], progress: Callable[[float, str], None]) -> LoadedFacts:
        """Loads the model and warms it up; calls `progress(fraction, stage)` now and then.

        Raises `ModelLoadError` (or its kin) with the file and the reason.
        """
        ...

    def add(self, job: Job) -> None:
        """Queues a sequence; it joins the batch at a next step. A prefix already cached is not computed again."""
        ...

    def step(self) -> Sequence[Step]:
        """One batched step over every running sequence; returns at once when there is none."""
        ...

    def cancel(self, job_id: int) -> None:
        """Drops a sequence, running or queued; unknown ids are ignored. No further `Step` of it follows."""
        ...

    @property
    def busy(self) -> bool:
        """Whether any sequence runs or waits."""
        ...

    def rest(self) -> float | None:
        """Called while nothing runs, a little after the last sequence ended: a piece of housekeeping, bounded in time.

        Gives the seconds after which it wants to be called again; `None` is not before another sequence has ended.
        """
        ...

    def finish(self, seconds: float) -> None:
        """Called once, before the process ends as told: saves what should outlive it, in at most `seconds`."""
        ...

    def stats(self) -> WorkerStats:
        """Live numbers."""
        ...

    def probe(self, path: str, options: dict[str, Any]) -> Probed:
        """In mode probe: devices and features, tried for real (a crash here is an answer, too)."""
        ...
