"""Documents scored against a query: the dialect that Jina's and Cohere's clients share."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from engine.api.openai.bodies import parse
from engine.api.openai.sampling import whole
from engine.api.openai.wire import Document, RerankBody
from engine.errors import BadInput
from engine.types import Ranking, RerankRequest

MOST_DOCUMENTS = 2048

_decoder = msgspec.json.Decoder(RerankBody)


class AskedRanking(Struct, frozen=True, kw_only=True):
    """A decoded request: what to score, and how to answer."""

    model: str
    """As the client named it; empty means the active one."""
    request: RerankRequest
    top_n: int | None = None
    """Only so many results; `None` is all."""
    return_documents: bool = False


def decode_rerank(body: bytes) -> AskedRanking:
    """Decodes and checks a request. Raises `BadInput`, with `param`."""
    asked = parse(body, _decoder)
    query, documents = _text(asked.query), tuple(map(_text, asked.documents))
    if not query:
        raise BadInput("The query is empty.", param="query")
    if not documents:
        raise BadInput("The list of documents is empty.", remedy="Send at least one.", param="documents")
    if len(documents) > MOST_DOCUMENTS:
        raise BadInput(
            f"There are {len(documents)} documents.",
            remedy=f"Send at most {MOST_DOCUMENTS} at once.",
            param="documents",
        )
    top_n = whole(asked.top_n, "top_n")
    if top_n is not None and top_n < 1:
        raise BadInput(f"top_n is {top_n}.", remedy="It is at least 1; leave it out for all.", param="top_n")
    return AskedRanking(
        model=asked.model or "",
        request=RerankRequest(query=query, documents=documents),
        top_n=top_n,
        return_documents=bool(asked.return_documents),
    )


def encode_ranking(model: str, asked: AskedRanking, found: Ranking) -> dict[str, Any]:
    """The documents' places in the request and their scores, best first; equals in the request's order."""
    places = sorted(range(len(found.scores)), key=lambda place: -found.scores[place])
    documents = asked.request.documents
    return {
        "object": "list",
        "model": model,
        "results": [
            {
                "index": place,
                "relevance_score": found.scores[place],
                **({"document": {"text": documents[place]}} if asked.return_documents else {}),
            }
            for place in places[: asked.top_n]
        ],
        "usage": {"prompt_tokens": found.prompt_tokens, "total_tokens": found.prompt_tokens},
    }


def _text(found: str | Document) -> str:
    return found if isinstance(found, str) else found.text
