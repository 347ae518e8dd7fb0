"""One generation: leases the model, offers it the tools its template can take, and streams what it says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from msgspec.structs import replace

from engine.fleet.fleet import Fleet
from engine.types import GenerateRequest, Output, ToolDefinition


async def generate(
    fleet: Fleet, model: str, request: GenerateRequest, *, offer: Sequence[ToolDefinition] = ()
) -> AsyncGenerator[Output, None]:
    """Deltas and prefill notes, then one `Finish`; closing the generator cancels.

    The tools of `offer` join those of the request where the model's template can be given tools. Raises what
    `Fleet.lease` does, and whatever the worker fails with.
    """
    async with fleet.lease(model, "chat") as worker:
        if offer and worker.info.facts and worker.info.facts.tools:
            request = replace(request, tools=(*request.tools, *offer))
        async with aclosing(worker.generate(request)) as outputs:
            async for output in outputs:
                yield output
