"""Which Footplate this is."""

from __future__ import annotations


def installed() -> str:
    """The version of the installed distribution; `0` when the packages are used without being installed."""
    from importlib import metadata  # noqa: PLC0415 - costs more than the rest of a first frame's imports together

    try:
        return metadata.version("footplate")
    except metadata.PackageNotFoundError:
        return "0"
