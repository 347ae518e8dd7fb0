"""The host's handle on one worker: a child with one loaded model."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engine.errors import Conflict, FootplateError, InternalError, StartError, WorkerDied, from_info
from engine.types import (
    Embeddings,
    EmbedRequest,
    Finish,
    GenerateRequest,
    LoadedFacts,
    LoadPlan,
    Output,
    Ranking,
    RerankRequest,
    TokenizeRequest,
    Tokens,
    WorkerInfo,
    WorkerState,
    WorkerStats,
)
from engine.worker.calls import Calls
from engine.worker.process import ChildProcess, death, environment, how_it_ended
from engine.worker.protocol import (
    VERSION,
    Answer,
    Cancel,
    Command,
    Detokenize,
    Detokenized,
    Embed,
    Embedded,
    FrameReader,
    Generate,
    GetStats,
    Hello,
    Load,
    Loaded,
    LoadFailed,
    LoadProgress,
    ProtocolError,
    Ranked,
    Report,
    Rerank,
    Stats,
    Stop,
    Tokenize,
    Tokenized,
)
from engine.worker.stderr_log import StderrLog

A = TypeVar("A", bound=Answer)

_SERVING = (WorkerState.READY, WorkerState.BUSY)
_OVER = (WorkerState.GONE, WorkerState.CRASHED)


class WorkerHandle:
    """Starts a worker, asks it, and ends it. One task owns the child from its start to its reaping.

    States: loading → ready ↔ busy → unloading → gone, or crashed (also when loading failed; `info.error` says why).
    """

    def __init__(
        self,
        *,
        module: str,
        model: str,
        path: str,
        plan: LoadPlan,
        log: Path,
        on_change: Callable[[WorkerInfo], None] = lambda _info: None,
        environ: Mapping[str, str] | None = None,
        memory_limit: int | None = None,
    ) -> None:
        """`module` is the runtime's worker, `model` the id by which people know what lies at `path`.

        `on_change` is called with every new state. `environ` (default: this process's) is filtered for the child.
        `memory_limit` bounds the child's address space, in bytes.
        """
        self._module, self._path, self._plan = module, path, plan
        self._environ = environment(os.environ if environ is None else environ, memory_limit=memory_limit)
        self._log_path = log
        self._on_change = on_change
        self._info = WorkerInfo(model=model, runtime=plan.runtime, state=WorkerState.LOADING, plan=plan)
        self._child: ChildProcess | None = None
        self._owner: asyncio.Task[None] | None = None
        self._stopper: asyncio.Task[None] | None = None
        self._load_error: FootplateError | None = None
        self._calls = Calls()

    @property
    def info(self) -> WorkerInfo:
        """The worker as it is now."""
        return self._info

    async def start(self) -> LoadedFacts:
        """Starts the child and loads the model. Once per handle.

        Raises what the runtime says (`ModelLoadError` and its kin, `InsufficientMemory`), `StartError`, or
        `WorkerDied`. When the caller is cancelled the child is killed.
        """
        if self._owner is not None:
            raise Conflict(f"The worker for {self._info.model} has been started before.")
        try:
            log = StderrLog(self._log_path)
        except OSError as error:
            raise StartError(f"The log {self._log_path} cannot be written: {error}") from error
        loaded: asyncio.Future[LoadedFacts] = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(self._own(loaded, log), name=f"worker {self._info.model}")
        try:
            return await asyncio.shield(loaded)
        except asyncio.CancelledError:
            self._owner.cancel()
            raise

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Output, None]:
        """Deltas and prefill notes, then one `Finish`. Closing the iterator early cancels the generation.

        Raises the request's own error (`ContextLengthExceeded`, `TemplateError`, `Unsupported`, …), or `WorkerDied`.
        """
        child = self._ready_child()
        identity, generation = self._calls.open()
        self._recount()
        child.send(Generate(id=identity, request=request))
        try:
            while True:
                output = await generation.take()
                yield output
                if isinstance(output, Finish):
                    return
        finally:
            if self._calls.drop(identity):
                child.send(Cancel(id=identity))
                self._recount()

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """The vectors of texts. Raises `Unsupported`, `ContextLengthExceeded`, `BadInput` or `WorkerDied`."""
        return (await self._ask(lambda identity: Embed(id=identity, request=request), Embedded)).embeddings

    async def rerank(self, request: RerankRequest) -> Ranking:
        """The scores of documents. Raises as `embed` does."""
        return (await self._ask(lambda identity: Rerank(id=identity, request=request), Ranked)).ranking

    async def tokenize(self, request: TokenizeRequest) -> Tokens:
        """The tokens of a text or of a request's prompt. Raises as `generate` does."""
        return (await self._ask(lambda identity: Tokenize(id=identity, request=request), Tokenized)).tokens

    async def detokenize(self, tokens: tuple[int, ...]) -> str:
        """The text of tokens. Raises `BadInput` for ids that are none, or `WorkerDied`."""
        return (await self._ask(lambda identity: Detokenize(id=identity, tokens=tokens), Detokenized)).text

    async def _ask(self, question: Callable[[int], Command], kind: type[A]) -> A:
        """The answer to a question; one that nobody waits for any more is called off."""
        child = self._ready_child()
        identity, answer = self._calls.ask()
        self._recount()
        child.send(question(identity))
        try:
            found = await answer
        except asyncio.CancelledError:
            child.send(Cancel(id=identity))
            raise
        finally:
            self._recount()
        if not isinstance(found, kind):
            raise InternalError("The worker answered another question than it was asked.")
        return found

    async def stats(self) -> WorkerStats:
        """Live numbers, asked of the worker between two steps. Raises `WorkerDied`."""
        child = self._ready_child()
        answer = self._calls.ask_stats()
        child.send(GetStats())
        return await answer

    async def stop(self, *, grace_s: float = 5.0, term_s: float = 2.0) -> None:
        """Ends the worker: asked to, after `grace_s` told to (SIGTERM), after `term_s` more killed with its group.

        Running generations finish as cancelled where the worker still can. Returns when the process is gone.
        """
        if self._owner is None:
            self._change(state=WorkerState.GONE)
            return
        if self._stopper is None:
            self._stopper = asyncio.create_task(self._escalate(self._owner, grace_s, term_s))
        await asyncio.shield(self._stopper)

    async def _escalate(self, owner: asyncio.Task[None], grace_s: float, term_s: float) -> None:
        if self._info.state not in _OVER:
            self._change(state=WorkerState.UNLOADING)
        if self._child is not None:
            self._child.send(Stop())
        for number, patience_s in ((None, grace_s), (signal.SIGTERM, term_s), (signal.SIGKILL, None)):
            if number is not None and self._child is not None:
                self._child.signal(number)
            done, _ = await asyncio.wait({owner}, timeout=patience_s)
            if done:
                break
        if self._info.state not in _OVER:
            self._change(state=WorkerState.GONE)

    async def _own(self, loaded: asyncio.Future[LoadedFacts], log: StderrLog) -> None:
        ending = "was killed before it had started"
        try:
            child = self._child = await ChildProcess.spawn(
                self._module, "serve", environ=self._environ, on_stderr=log.write
            )
            self._change(pid=child.pid)
            child.send(Stop() if self._stopper else Load(path=self._path, options=self._plan.options))
            ending = await self._listen(child, loaded)
        except OSError as error:
            ending = f"could not be started ({error})"
        finally:
            log.close()
            self._end(loaded, ending, log.tail())

    async def _listen(self, child: ChildProcess, loaded: asyncio.Future[LoadedFacts]) -> str:
        """Hears the child to its end and reaps it; how it ended."""
        reader: FrameReader[Report] = FrameReader(Report)
        ending = None
        try:
            while self._load_error is None and (data := await child.read()):
                for report in reader.feed(data):
                    self._hear(report, loaded)
        except ProtocolError as error:
            ending = f"sent what is no frame and was killed ({error})"
            child.signal(signal.SIGKILL)
        finally:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                child.signal(signal.SIGKILL)
            code = await child.reap()
        return ending or how_it_ended(code)

    def _hear(self, report: Report, loaded: asyncio.Future[LoadedFacts]) -> None:
        match report:
            case Hello():
                if report.protocol != VERSION:
                    raise ProtocolError(f"it speaks version {report.protocol}, not {VERSION}")
            case LoadProgress():
                self._change(progress=report.fraction)
            case Loaded():
                if self._info.state is WorkerState.LOADING:
                    self._change(state=WorkerState.READY, progress=None, facts=report.facts)
                if not loaded.done():
                    loaded.set_result(report.facts)
            case LoadFailed():
                self._load_error = from_info(report.error)
            case _:
                if isinstance(report, Stats):
                    self._info = msgspec.structs.replace(self._info, stats=report.stats)
                self._calls.hear(report)
                self._recount()

    def _end(self, loaded: asyncio.Future[LoadedFacts], ending: str, tail: str) -> None:
        """Tells everybody who waits, and the state."""
        error = self._load_error or self._death(ending, tail)
        self._calls.fail(error)
        if not loaded.done():
            loaded.set_exception(error)
            loaded.exception()  # whoever waited may have been cancelled; that it was looked at spares a warning
        if self._stopper is not None and self._load_error is None:
            self._change(state=WorkerState.GONE, pid=None, progress=None)
        else:
            self._change(state=WorkerState.CRASHED, pid=None, progress=None, error=error.info)

    def _death(self, ending: str, tail: str) -> WorkerDied:
        model = self._info.model
        if self._stopper is not None:
            return WorkerDied(f"{model} was unloaded.", remedy="Ask again to have it loaded.")
        return death(model, ending, tail, self._log_path)

    def _ready_child(self) -> ChildProcess:
        model, state = self._info.model, self._info.state
        if self._child is not None and state in _SERVING:
            return self._child
        if state is WorkerState.LOADING:
            raise Conflict(f"{model} is still being loaded.", remedy="Wait until it is ready.")
        raise WorkerDied(f"The worker for {model} runs no more.", remedy="Ask again to have the model loaded.")

    def _recount(self) -> None:
        if self._info.state in _SERVING:
            self._change(state=WorkerState.BUSY if self._calls else WorkerState.READY)

    def _change(self, **changes: Any) -> None:
        info = msgspec.structs.replace(self._info, **changes)
        if info != self._info:
            self._info = info
            self._on_change(info)
