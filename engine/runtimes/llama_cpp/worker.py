"""The llama.cpp worker. The library is imported when a model is loaded or probed, no earlier."""

from __future__ import annotations

import importlib
import importlib.metadata
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil

from engine.errors import InternalError, RuntimeMissing
from engine.runtimes.llama_cpp.library import DISTRIBUTION
from engine.runtimes.llama_cpp.options import Options
from engine.types import Adapter, LoadedFacts, Sampling, WorkerStats
from engine.worker import child
from engine.worker.backend import Encoder, Job, Step, TextModel, Vocabulary
from engine.worker.protocol import Probed

if TYPE_CHECKING:
    from types import ModuleType

    from engine.runtimes.llama_cpp._encoder import LlamaEncoder
    from engine.runtimes.llama_cpp._stepper import Stepper

_ENCODER = "engine.runtimes.llama_cpp._encoder"


class LlamaBackend:
    """`engine.worker.backend.Backend` for llama.cpp."""

    name = "llama_cpp"

    def __init__(self) -> None:
        self._stepper: Stepper
        self._encoder: LlamaEncoder | None = None

    @property
    def library(self) -> str:
        """Name and version of the runtime library."""
        return f"{DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)}"

    @property
    def vocabulary(self) -> Vocabulary:
        """The loaded model's tokenizer."""
        return self._encoder.vocabulary if self._encoder else self._stepper.vocabulary

    @property
    def encoder(self) -> Encoder | None:
        """What makes vectors or scores with the loaded model; `None` where it continues text."""
        return self._encoder

    @property
    def text(self) -> TextModel:
        """The loaded model's template and defaults."""
        return self._stepper.text

    def load(self, path: str, options: dict[str, Any], progress: Callable[[float, str], None]) -> LoadedFacts:
        """Loads and warms up; `LoadedFacts.memory` is the resident size of the whole process afterwards.

        That counts the mapped weights that were touched (all but rarely used rows of the embedding table), the KV
        cache, the compute buffers as far as they were used, and the interpreter; what lies on a graphics card is not
        in it.
        """
        started = time.perf_counter()
        wish = _options(options)
        if wish.encode:
            self._encoder = encoder = _library(_ENCODER).LlamaEncoder(Path(path), wish, progress)
            return LoadedFacts(
                context=wish.n_ctx,
                slots=wish.n_seq,
                device=_library().device(wish.n_gpu_layers),
                memory=psutil.Process().memory_info().rss,
                load_s=time.perf_counter() - started,
                chat=False,
                embeddings=not encoder.ranks,
                rerank=encoder.ranks,
                dimensions=None if encoder.ranks else encoder.dimensions,
                notices=wish.notices,
            )
        self._stepper = _library().Stepper(Path(path), wish, progress)
        return LoadedFacts(
            context=wish.n_ctx,
            slots=wish.n_seq,
            device=self._stepper.device,
            memory=psutil.Process().memory_info().rss,
            load_s=time.perf_counter() - started,
            prefix_reuse=self._stepper.reuse,
            notices=wish.notices,
            sampling=Sampling.__struct_fields__,
            grammar=True,
            logprobs=True,
            infill=self.text.infill is not None,
            adapters=tuple(Adapter(name=each.name, scale=each.scale) for each in wish.lora),
            speculation=self._stepper.speculates,
        )

    def add(self, job: Job) -> None:
        """Queues a sequence. Raises `ContextLengthExceeded` or `BadInput` for one that cannot run."""
        self._stepper.add(job)

    def step(self) -> Sequence[Step]:
        """One forward pass over every running sequence, and a token for each whose prompt is computed."""
        return self._stepper.step()

    def cancel(self, job_id: int) -> None:
        """Drops a sequence; what it has computed stays cached."""
        self._stepper.cancel(job_id)

    @property
    def busy(self) -> bool:
        """Whether any sequence runs or waits."""
        return self._stepper.busy

    def rest(self) -> float | None:
        """Saves a prefix, beside whatever comes next."""
        return self._stepper.rest()

    def finish(self, seconds: float) -> None:
        """Saves the prefixes that are worth most."""
        self._stepper.finish(seconds)

    def stats(self) -> WorkerStats:
        """Live numbers."""
        return self._stepper.stats()

    def probe(self, path: str, options: dict[str, Any]) -> Probed:
        """Says what the library was built with; with `path`, loads that model and computes a prompt with it.

        A build whose fast kernels are broken dies in that: see `selfcheck`.
        """
        library = _library()
        if path:
            library.Stepper(Path(path), _options(options), lambda _fraction, _stage: None).close()
        return Probed(library=self.library, devices=library.devices(), features=library.features())


def _library(module: str = "engine.runtimes.llama_cpp._stepper") -> ModuleType:
    """A module that drives the library, which is imported by it: the host hears Hello before this half second."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        raise RuntimeMissing(
            f"{DISTRIBUTION} does not work here: {error}.",
            remedy="Install it again: `make clean install` in a checkout, or `uv tool install --reinstall footplate`.",
        ) from error


def _options(plain: dict[str, Any]) -> Options:
    try:
        return msgspec.convert(plain, Options)
    except msgspec.ValidationError as error:
        raise InternalError(f"The load options are not llama.cpp's: {error}.") from error


if __name__ == "__main__":
    raise SystemExit(child.main(LlamaBackend))
