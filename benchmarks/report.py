"""The result of a run: its data, and the table beside it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec

from engine.hardware.detect import detect
from rounds import Outcome, shown
from scenarios import Sizes
from servers import Settings


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    cpu: str | None
    cores: int | None
    threads: int | None
    features: tuple[str, ...]
    memory: int | None
    """Bytes."""
    system: str
    python: str
    load_before: float
    """Load average of the last minute when the run began."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is kept of a run."""

    model: str
    bytes: int
    versions: tuple[str, ...]
    machine: Machine
    settings: Settings
    peer_arguments: tuple[str, ...]
    rounds: int
    """Rounds that were asked for."""
    seed: int
    sizes: Sizes
    seconds: float
    """How long the run took."""
    outcomes: tuple[Outcome, ...]
    error: str = ""
    """Why the rest is missing, where something failed."""


def machine() -> Machine:
    """This machine, now."""
    hardware = detect()
    return Machine(
        cpu=hardware.cpu,
        cores=hardware.cores,
        threads=hardware.threads,
        features=hardware.features,
        memory=hardware.memory,
        system=platform.system(),
        python=platform.python_version(),
        load_before=os.getloadavg()[0],
    )


def table(result: Result) -> str:
    """The outcomes as Markdown."""
    given, where = result.settings, result.machine
    lines = [
        f"# {result.model}",
        "",
        f"{'; '.join(result.versions)}. {where.cpu}, {where.cores} cores, load {where.load_before:.1f} at the start.",
        f"Settings: threads {given.threads}, slots {given.slots}, context {given.context:,} per slot, "
        f"KV cache {given.cells:,} tokens, at most {given.saved_mib} MiB of saved prompts in memory. "
        "Medians of rounds in turns; resident memory is RSS.",
        "",
        "| | Footplate | Peer | Ratio | Goal | Met |",
        "|---|--:|--:|--:|--:|---|",
        *(_row(outcome) for outcome in result.outcomes),
    ]
    notes = [f"- {outcome.what}: {note}" for outcome in result.outcomes for note in _notes(outcome)]
    notes += [f"- The rest was not measured: {result.error}"] if result.error else []
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def _notes(outcome: Outcome) -> list[str]:
    notes = [outcome.note] if outcome.note else []
    for label, samples in outcome.rounds.items():
        notes += [f"PSS of {label}: {shown(sample.pss, outcome.unit)}" for sample in samples if sample.pss is not None]
    return notes


def _row(outcome: Outcome) -> str:
    values = [shown(value, outcome.unit) for value in outcome.values.values()]
    first, second = (*values, "not measured", "not measured")[:2]
    ratio = "" if outcome.ratio is None else f"{outcome.ratio:.3f}"
    goal = f"{'≤' if outcome.at_most else '≥'} {outcome.goal:g} ×"
    met = {None: "", True: "yes", False: "no"}[outcome.met]
    rounds = min((len(samples) for samples in outcome.rounds.values()), default=0)
    what = f"{outcome.what} ({rounds} round{'' if rounds == 1 else 's'})"
    return f"| {what} | {first} | {second} | {ratio} | {goal} | {met} |"


def write(result: Result, place: Path) -> str:
    """Writes the table beside the data at `place`; the table."""
    text = table(result)
    place.with_suffix(".md").write_text(text)
    return text
