"""The file that a scripted model is: what it answers, how fast, and how it fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from engine.errors import CorruptModel
from engine.types import Sampling

Fault = Literal["stall", "deaf", "crash", "garbage", "endless", "error", "fatal", "memory"]
"""How a generation goes wrong.

`stall`: the worker does nothing any more; `deaf`: and it ignores SIGTERM; `crash`: abort(); `garbage`: bytes that are
no frames; `endless`: the answer is repeated without end; `error`: this sequence fails; `fatal`: the step raises;
`memory`: memory is taken until there is none.
"""
LoadFault = Literal["stall", "deaf", "crash", "garbage", "error", "memory"]
"""How loading goes wrong, likewise."""


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the tables of the file."""


class Reply(_Table, frozen=True, kw_only=True):
    """One answer. The first whose `match` is found is given."""

    match: str = ""
    """Regular expression, searched in the last user text."""
    text: str = ""
    """What the model writes, markup of tool calls and reasoning included; `{text}` stands for the last user text."""
    fault: Fault | None = None
    after: int = 0
    """Tokens before the fault."""


class Script(_Table, frozen=True, kw_only=True):
    """A scripted model."""

    context: int = 4096
    """Tokens per sequence."""
    slots: int = 4
    template: str | None = None
    """Jinja source; ChatML with tools when absent."""
    control: tuple[str, ...] = ()
    """Control tokens beside those of ChatML. Answers that spell them have these tokens."""
    tok_per_s: float = 0.0
    """Tokens per second of each sequence; 0 is as fast as possible."""
    prefill_tok_per_s: float = 0.0
    """Tokens per second of prompts, likewise."""
    load_s: float = 0.0
    """Seconds that loading takes."""
    load_fault: LoadFault | None = None
    sampling: Sampling = Sampling()
    """What the model recommends."""
    replies: tuple[Reply, ...] = ()

    def reply(self, text: str) -> Reply:
        """The answer to the user's `text`; without a match, an echo."""
        found = next((reply for reply in self.replies if re.search(reply.match, text)), Reply(text="You said: {text}"))
        return msgspec.structs.replace(found, text=found.text.replace("{text}", text))


def read(path: str | Path) -> Script:
    """The script at `path`. Raises `CorruptModel` naming the file and what is wrong in it."""
    try:
        script = msgspec.toml.decode(Path(path).read_bytes(), type=Script)
        for reply in script.replies:
            re.compile(reply.match)
    except (OSError, ValueError, re.error) as error:
        raise CorruptModel(f"{path} is not a scripted model: {error}") from error
    if script.context < 2 or script.slots < 1:
        raise CorruptModel(f"{path} is not a scripted model: it needs a context of 2 tokens and 1 slot at least")
    return script
