"""Every frame between host and child, versioned.

A frame is a 4-byte big-endian length and that many bytes of msgpack. Commands go to the child's stdin, reports come on
a private duplicate of its stdout. Lengths over `MAX_FRAME` and bytes that do not decode are a broken child (or host):
`ProtocolError`, after which the stream is of no use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from engine.errors import ErrorInfo
from engine.types import (
    Delta,
    Embeddings,
    EmbedRequest,
    Finish,
    GenerateRequest,
    LoadedFacts,
    Prefill,
    Ranking,
    RerankRequest,
    TokenizeRequest,
    Tokens,
    WorkerStats,
)

VERSION = 2
MAX_FRAME = 256 * 1024 * 1024
"""Bytes; a request with images stays below it, garbage read as a length hardly does."""

T = TypeVar("T")


class ProtocolError(Exception):
    """The bytes read are not frames of this protocol."""


class _Frame(Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Base of all frames; the struct's name is the tag."""


class Load(_Frame, frozen=True, kw_only=True):
    """Load the model at `path`; answered by `LoadProgress` … and `Loaded` or `LoadFailed`."""

    path: str
    options: dict[str, Any]
    """The runtime's own options, as `spec.Options` in plain data."""


class Generate(_Frame, frozen=True, kw_only=True):
    """Begin a generation; answered by `Began`, `Produced` … and `Finished` or `RequestFailed`."""

    id: int
    request: GenerateRequest


class Cancel(_Frame, frozen=True, kw_only=True):
    """End a generation early; answered by its `Finished` with reason `cancelled` unless it has ended by itself.

    Of `Embed` and `Rerank` nothing more is heard.
    """

    id: int


class Embed(_Frame, frozen=True, kw_only=True):
    """Turn texts into vectors; answered by `Embedded` or `RequestFailed`."""

    id: int
    request: EmbedRequest


class Rerank(_Frame, frozen=True, kw_only=True):
    """Score documents against a query; answered by `Ranked` or `RequestFailed`."""

    id: int
    request: RerankRequest


class Tokenize(_Frame, frozen=True, kw_only=True):
    """Cut something into tokens; answered by `Tokenized` or `RequestFailed`."""

    id: int
    request: TokenizeRequest


class Detokenize(_Frame, frozen=True, kw_only=True):
    """Join tokens to text; answered by `Detokenized` or `RequestFailed`."""

    id: int
    tokens: tuple[int, ...]


class GetStats(_Frame, frozen=True, kw_only=True):
    """Ask for `Stats`."""


class Probe(_Frame, frozen=True, kw_only=True):
    """In mode probe: find out what the runtime can do here; answered by `Probed`, then the child ends."""

    path: str = ""
    """A model to try the fast path with."""
    options: dict[str, Any] = {}


class Stop(_Frame, frozen=True, kw_only=True):
    """End: running requests are finished as cancelled, memory is given back by exiting."""


Command = Load | Generate | Cancel | Embed | Rerank | Tokenize | Detokenize | GetStats | Probe | Stop


class Hello(_Frame, frozen=True, kw_only=True):
    """First frame of every child."""

    protocol: int
    pid: int
    runtime: str
    library: str
    """Name and version of the runtime library, such as `llama-cpp-python 0.3.36`."""


class LoadProgress(_Frame, frozen=True, kw_only=True):
    """How far the load is, 0 to 1."""

    fraction: float
    stage: str = "loading"


class Loaded(_Frame, frozen=True, kw_only=True):
    """The model is ready."""

    facts: LoadedFacts


class LoadFailed(_Frame, frozen=True, kw_only=True):
    """The model could not be loaded; the child ends after this."""

    error: ErrorInfo


class Began(_Frame, frozen=True, kw_only=True):
    """A generation has its place; the prompt's length is known."""

    id: int
    prompt_tokens: int
    cached_tokens: int = 0


class Produced(_Frame, frozen=True, kw_only=True):
    """Something new from a generation."""

    id: int
    output: Delta | Prefill


class Finished(_Frame, frozen=True, kw_only=True):
    """A generation came to its end."""

    id: int
    finish: Finish


class RequestFailed(_Frame, frozen=True, kw_only=True):
    """A request failed; the model goes on serving others."""

    id: int
    error: ErrorInfo


class Embedded(_Frame, frozen=True, kw_only=True):
    """The answer to `Embed`."""

    id: int
    embeddings: Embeddings


class Ranked(_Frame, frozen=True, kw_only=True):
    """The answer to `Rerank`."""

    id: int
    ranking: Ranking


class Tokenized(_Frame, frozen=True, kw_only=True):
    """The answer to `Tokenize`."""

    id: int
    tokens: Tokens


class Detokenized(_Frame, frozen=True, kw_only=True):
    """The answer to `Detokenize`."""

    id: int
    text: str


class Stats(_Frame, frozen=True, kw_only=True):
    """Live numbers."""

    stats: WorkerStats


class Probed(_Frame, frozen=True, kw_only=True):
    """What a probe found."""

    library: str
    devices: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    """What the library was built with and found, such as `AVX512`, `AMX_INT8`, `GPU`."""
    notices: tuple[str, ...] = ()


Answer = Tokenized | Detokenized | Embedded | Ranked
"""Reports that answer a question of its own id."""
Report = (
    Hello | LoadProgress | Loaded | LoadFailed | Began | Produced | Finished | RequestFailed | Answer | Stats | Probed
)


class FrameReader(Generic[T]):
    """Turns a stream of bytes, cut anywhere, into frames of type `T` (a union such as `Command`).

    Raises `ProtocolError` from `feed` when the bytes are no frames; after that the reader is of no use.
    """

    def __init__(self, kind: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[T]:
        """Adds `data` and yields every frame that is now whole."""
        self._buffer += data
        while len(self._buffer) >= _HEADER:
            size = int.from_bytes(self._buffer[:_HEADER], "big")
            if size > MAX_FRAME:
                raise ProtocolError(f"a frame claims {size} bytes, more than the {MAX_FRAME} allowed")
            if len(self._buffer) < _HEADER + size:
                return
            body = bytes(self._buffer[_HEADER : _HEADER + size])
            del self._buffer[: _HEADER + size]
            try:
                yield self._decoder.decode(body)
            except msgspec.MsgspecError as error:
                raise ProtocolError(f"a frame of {size} bytes does not decode: {error}") from error


def encode(frame: Command | Report) -> bytes:
    """The bytes of one frame, header included."""
    body = _encoder.encode(frame)
    return len(body).to_bytes(_HEADER, "big") + body


_HEADER = 4
_encoder = msgspec.msgpack.Encoder()
