"""One request for vectors or scores in the child, from its texts to its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import BadInput, ContextLengthExceeded, InternalError, Unsupported
from engine.types import Embeddings, LoadedFacts, Ranking
from engine.worker.backend import Encoder
from engine.worker.protocol import Embed, Embedded, Ranked, Report, Rerank

Row = NDArray[np.float32]
Rows = Mapping[int, Row]


class Encoding:
    """A request and what of it is computed (`engine.worker.loop.passes.Waiting`)."""

    def __init__(
        self, identity: int, inputs: Iterator[tuple[int, ...]], answer: Callable[[Sequence[Row], int], Report]
    ) -> None:
        """`inputs` cuts one text after the other; `answer` makes the report of all rows and the number of tokens."""
        self.id = identity
        self.inputs: list[tuple[int, ...]] = []
        self.rows: dict[int, Row] = {}
        self._unread = inputs
        self._answer = answer
        self._next = 0

    def read(self) -> bool:
        """Cuts the next text; false when all are cut. Raises what is wrong with it."""
        tokens = next(self._unread, None)
        if tokens is None:
            return False
        self.inputs.append(tokens)
        return True

    def peek(self) -> int | None:
        """Tokens of the next input that is not given out."""
        return len(self.inputs[self._next]) if self._next < len(self.inputs) else None

    def take(self) -> int:
        """Gives out the next input; its number."""
        self._next += 1
        return self._next - 1

    @property
    def done(self) -> bool:
        """Whether all is computed; asked once it is known how much that is."""
        return len(self.rows) == len(self.inputs)

    def answer(self) -> Report:
        """The last report. Raises `InternalError` when the model computed what is no number."""
        rows = [self.rows[index] for index in range(len(self.inputs))]
        if not all(np.isfinite(row).all() for row in rows):
            raise InternalError(
                "The model computed what is no number.", meaning="Its file may be damaged, or its kind of quantization."
            )
        return self._answer(rows, sum(map(len, self.inputs)))


def texts(command: Embed, encoder: Encoder, facts: LoadedFacts) -> Encoding:
    """A request for vectors. Raises `Unsupported` or `BadInput`."""
    if not facts.embeddings:
        raise Unsupported(
            "This model scores documents and makes no vectors.", remedy="Choose an embedding model.", param="model"
        )
    request, width = command.request, facts.dimensions or 0
    if request.dimensions is not None and not 1 <= request.dimensions <= width:
        raise BadInput(
            f"dimensions is {request.dimensions}.", remedy=f"It lies between 1 and {width}.", param="dimensions"
        )
    if not request.inputs:
        raise BadInput("There are no inputs.", param="input")

    def inputs() -> Iterator[tuple[int, ...]]:
        for index, text in enumerate(request.inputs):
            param = f"input[{index}]" if len(request.inputs) > 1 else "input"
            tokens = encoder.tokens(text) if isinstance(text, str) else text
            _check(tokens, param, encoder, facts)
            yield tokens

    def answer(rows: Sequence[Row], count: int) -> Report:
        vectors = tuple(_unit(row[: request.dimensions]).astype("<f4").tobytes() for row in rows)
        return Embedded(id=command.id, embeddings=Embeddings(vectors=vectors, prompt_tokens=count))

    return Encoding(command.id, inputs(), answer)


def documents(command: Rerank, encoder: Encoder, facts: LoadedFacts) -> Encoding:
    """A request for scores. Raises `Unsupported` or `BadInput`."""
    if not facts.rerank:
        raise Unsupported(
            "This model makes vectors and scores no documents.", remedy="Choose a reranker.", param="model"
        )
    request = command.request
    if not request.documents:
        raise BadInput("There are no documents.", param="documents")

    def inputs() -> Iterator[tuple[int, ...]]:
        for index, document in enumerate(request.documents):
            tokens = encoder.pair(request.query, document)
            _check(tokens, f"documents[{index}]", encoder, facts)
            yield tokens

    def answer(rows: Sequence[Row], count: int) -> Report:
        scores = tuple(float(row[0]) for row in rows)
        return Ranked(id=command.id, ranking=Ranking(scores=scores, prompt_tokens=count))

    return Encoding(command.id, inputs(), answer)


def _check(tokens: tuple[int, ...], param: str, encoder: Encoder, facts: LoadedFacts) -> None:
    if not tokens:
        raise BadInput(f"{param} is empty.", param=param)
    if len(tokens) > facts.context:
        raise ContextLengthExceeded.of_input(facts.context, len(tokens), param)
    if min(tokens) < 0 or max(tokens) >= encoder.vocabulary.size:
        raise BadInput(
            f"{param} has tokens that are not in the model's vocabulary.",
            remedy=f"They lie between 0 and {encoder.vocabulary.size - 1}.",
            param=param,
        )


def _unit(row: Row) -> Row:
    """The row at length 1; one of zeros stays."""
    length = float(np.sqrt(np.square(row, dtype=np.float64).sum()))
    return row / np.float32(length) if length else row
