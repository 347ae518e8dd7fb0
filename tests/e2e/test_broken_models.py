"""Models and requests that go wrong, beside a model that does not: real hosts, real workers, over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from fixtures.broken_model import spoiled
from fixtures.shape_model import write_model
from programs import api, asked, said

CHECK = {"max_tokens": 12, "ignore_eos": True}
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


async def refused(http: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> tuple[int, str, str]:
    """Status, code and message of a request that fails."""
    async with http.post(path, json=body) as answer:
        error = (await answer.json())["error"]
        return answer.status, error["code"], error["message"]


async def test_each_fault_is_told_and_disturbs_nobody(home: Path) -> None:
    models = home / "models"
    models.mkdir()
    good = write_model(models / "good.gguf")
    spoiled(good, models / "unloadable.gguf", "output_norm.weight", slice(None))
    spoiled(good, models / "unsound.gguf", "token_embd.weight", 4 + ord("x") - 33)
    write_model(models / "looping.gguf", template=LOOP)
    async with asyncio.timeout(100), api() as (_, http):
        before = await said(http, asked("good", "the hen", **CHECK))

        async def fault(name: str, text: str, **more: Any) -> tuple[int, str, str]:
            found = await refused(http, "chat/completions", asked(name, text, **more))
            assert await said(http, asked("good", "the hen", **CHECK)) == before
            return found

        status, code, message = await fault("unloadable", "hen")
        assert (status, code) == (500, "corrupt_model")
        assert "unloadable.gguf is not a number" in message
        status, code, message = await fault("unsound", "a fox")
        assert (status, code) == (500, "corrupt_model")
        assert "unsound.gguf is not a number" in message
        unsound = await said(http, asked("unsound", "a hen", **CHECK))
        assert unsound == await said(http, asked("good", "a hen", **CHECK))
        status, code, message = await fault("looping", "hen")
        assert (status, code) == (400, "template_error")
        assert "template ran longer" in message
        async with http.post("completions", json={"model": "looping", "prompt": "hen", **CHECK}) as answer:
            assert answer.status == 200
        status, code, message = await fault("good", "hen", grammar="root ::= " + '"a"? ' * 3000)
        assert (status, code) == (400, "invalid_request")
        assert "grammar" in message
