"""A limit on the memory of a child, handed over in its environment."""

from __future__ import annotations

import os
import resource

MEMORY_LIMIT = "FOOTPLATE_WORKER_MEMORY_LIMIT"
"""Environment variable: address space in bytes that the child may have."""


def limit_memory() -> None:
    """In the child: obeys the variable, if it is set."""
    limit = os.environ.pop(MEMORY_LIMIT, None)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_AS, (int(limit), resource.getrlimit(resource.RLIMIT_AS)[1]))
