"""The document and the server say the same, whatever is sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from fake import Serve
from hypothesis import HealthCheck, assume, given, settings
from schemathesis import GenerationMode

OPERATIONS = {
    "GET /health", "GET /v1/models", "GET /v1/models/{model}", "POST /v1/chat/completions",
    "POST /v1/completions", "POST /v1/tokenize", "POST /v1/detokenize",
    "POST /v1/embeddings", "POST /v1/rerank", "POST /v2/rerank",
}  # fmt: skip


@pytest.mark.parametrize("mode", list(GenerationMode))
async def test_the_server_keeps_to_its_document(serve: Serve, mode: GenerationMode) -> None:
    await asyncio.to_thread(_explore, await serve(), mode)


def says_more_than_schemas_can(body: Any) -> bool:
    """Fields that depend on each other, which the document says in words only."""
    if not isinstance(body, dict):
        return False
    demands_a_tool = body.get("tool_choice") not in (None, "auto", "none")
    likely = bool(body.get("top_logprobs")) and not body.get("logprobs")
    held = body.get("grammar") and body.get("response_format")
    return bool(demands_a_tool or likely or held)


def _explore(url: str, mode: GenerationMode) -> None:
    operations = [result.ok() for result in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations()]
    assert {operation.label for operation in operations} == OPERATIONS
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and operation.method == "get":
            continue

        @settings(
            max_examples=40,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def keeps_to_it(case: schemathesis.Case) -> None:
            assume(not says_more_than_schemas_can(case.body))
            case.call_and_validate()

        keeps_to_it()
