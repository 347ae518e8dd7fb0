"""Vectors and scores: requests for whole texts, computed in batches that several requests share."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace

from engine.errors import FootplateError, Unsupported, WorkerDied
from engine.types import LoadedFacts, Tokens
from engine.worker.backend import Encoder
from engine.worker.loop.encoding import Encoding, Row, documents, texts
from engine.worker.loop.passes import compose
from engine.worker.loop.texts import VocabularyTexts
from engine.worker.loop.turns import attempted, explained
from engine.worker.loop.wire import Wire
from engine.worker.protocol import (
    Cancel,
    Command,
    Detokenize,
    Detokenized,
    Embed,
    Generate,
    GetStats,
    ProtocolError,
    Report,
    RequestFailed,
    Rerank,
    Stats,
    Tokenize,
    Tokenized,
)

READ_S = 0.02
"""Longest time for which texts are cut into tokens before commands are looked at again."""


class Encodings:
    """Serves one model that makes vectors or scores (`engine.worker.loop.turns.Service`).

    A turn cuts some texts into tokens and computes one pass; requests take turns in both, and one that is cancelled
    is gone before the next pass.
    """

    def __init__(self, encoder: Encoder, wire: Wire, facts: LoadedFacts) -> None:
        self._encoder = encoder
        self._wire = wire
        self._facts = facts
        self._texts = VocabularyTexts(encoder.vocabulary)
        self._open: dict[int, Encoding] = {}
        self._reading: deque[Encoding] = deque()
        self._ready: deque[Encoding] = deque()
        self._batch: list[tuple[Encoding, int]] = []

    @property
    def busy(self) -> bool:
        """Whether any request is open."""
        return bool(self._open)

    def rest(self) -> float | None:
        """There is no housekeeping."""
        return None

    def end(self) -> list[Report]:
        """Every open request fails: a part of its vectors is of no use."""
        stopped = WorkerDied("The model was unloaded before all was computed.", remedy="Ask again to have it loaded.")
        return [RequestFailed(id=identity, error=stopped.info) for identity in self._open]

    def finish(self) -> None:
        """Nothing outlives the process."""

    def obey(self, command: Command) -> list[Report]:
        """Begins, cancels and answers."""
        match command:
            case Embed() | Rerank():
                return self._begin(command)
            case Cancel():
                self._drop(command.id)
                return []
            case Tokenize():
                return [attempted(command.id, lambda: Tokenized(id=command.id, tokens=self._tokens(command)))]
            case Detokenize():
                return [
                    attempted(command.id, lambda: Detokenized(id=command.id, text=self._texts.text(command.tokens)))
                ]
            case GetStats():
                running = {encoding.id for encoding, _ in self._batch}
                waiting = len(self._open) - len(running)
                return [Stats(stats=replace(self._encoder.stats(), running=len(running), waiting=waiting))]
            case Generate():
                return [RequestFailed(id=command.id, error=self._no_chat().info)]
            case _:
                raise ProtocolError(f"{type(command).__name__} is no command for a loaded model")

    def step(self) -> bool:
        """Cuts some texts, then computes a pass; false when the runtime failed in a way that nobody foresaw."""
        self._read()
        if not self._batch and self._ready:
            self._batch = compose(self._ready, together=self._encoder.together, inputs=self._encoder.inputs)
            self._encoder.begin([encoding.inputs[index] for encoding, index in self._batch])
        if not self._batch:
            return True
        try:
            rows = self._encoder.step()
        except FootplateError as error:
            self._fail({encoding.id for encoding, _ in self._batch}, error)
            return True
        except Exception as error:  # noqa: BLE001 - the runtime's state is unknown now, whatever it was
            traceback.print_exc()
            self._fail(set(self._open), _broken(error))
            return False
        if rows is not None:
            self._settle(rows)
        return True

    def _settle(self, rows: Sequence[Row]) -> None:
        """Hands out what a batch brought, and answers the requests that have all."""
        batch, self._batch = self._batch, []
        for (encoding, index), row in zip(batch, rows, strict=True):
            encoding.rows[index] = row
        for encoding in {encoding.id: encoding for encoding, _ in batch}.values():
            if encoding.done and encoding.id in self._open:
                del self._open[encoding.id]
                self._wire.send([attempted(encoding.id, encoding.answer)])

    def _begin(self, command: Embed | Rerank) -> list[Report]:
        try:
            if isinstance(command, Embed):
                encoding = texts(command, self._encoder, self._facts)
            else:
                encoding = documents(command, self._encoder, self._facts)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong fails this request alone
            return [RequestFailed(id=command.id, error=explained(error))]
        self._open[encoding.id] = encoding
        self._reading.append(encoding)
        return []

    def _read(self) -> None:
        """Cuts texts of the request whose turn it is; the next one's turn comes after the next pass."""
        if not self._reading:
            return
        encoding = self._reading.popleft()
        end = time.monotonic() + READ_S
        try:
            while time.monotonic() < end:
                if not encoding.read():
                    self._ready.append(encoding)
                    return
        except Exception as error:  # noqa: BLE001 - whatever goes wrong fails this request alone
            self._drop(encoding.id)
            self._wire.send([RequestFailed(id=encoding.id, error=explained(error))])
            return
        self._reading.append(encoding)

    def _drop(self, identity: int) -> None:
        """Forgets a request; the batch goes on only for others that are in it."""
        self._open.pop(identity, None)
        for queue in (self._reading, self._ready):
            for encoding in tuple(queue):
                if encoding.id == identity:
                    queue.remove(encoding)
        if not any(encoding.id in self._open for encoding, _ in self._batch):
            self._batch = []

    def _fail(self, identities: set[int], error: FootplateError) -> None:
        failed = identities & self._open.keys()
        for identity in identities:
            self._drop(identity)
        self._batch = []
        self._wire.send([RequestFailed(id=identity, error=error.info) for identity in sorted(failed)])

    def _tokens(self, command: Tokenize) -> Tokens:
        request = command.request
        if request.request is not None:
            raise self._no_chat()
        if request.add_special:
            return self._texts.named(self._encoder.tokens(request.text))
        return self._texts.tokens(request)

    def _no_chat(self) -> Unsupported:
        does = "scores documents against a query" if self._facts.rerank else "turns texts into vectors"
        return Unsupported(
            f"This model {does} and has no conversations.", remedy="Choose a model made for chat.", param="model"
        )


def _broken(error: Exception) -> WorkerDied:
    return WorkerDied(
        f"The runtime failed while it was computing ({type(error).__name__}): {error}",
        meaning="The model has to be loaded again.",
    )
