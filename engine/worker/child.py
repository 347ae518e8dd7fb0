"""What every child process runs: `python -P -m engine.runtimes.<name>.worker serve|probe`.

A runtime's `worker.py` ends with `raise SystemExit(child.main(ItsBackend))` and imports its library no earlier than in
`load` or `probe`: the host hears `Hello` first, and a limit on memory is in force before the library comes.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

import msgspec

from engine.errors import FootplateError, InternalError
from engine.worker.backend import Backend
from engine.worker.limits import limit_memory
from engine.worker.loop.encodings import Encodings
from engine.worker.loop.load import load
from engine.worker.loop.prepare import Preparer
from engine.worker.loop.serve import Loop
from engine.worker.loop.turns import serve as serve_commands
from engine.worker.loop.wire import EXIT_PROTOCOL, HostGone, Wire
from engine.worker.protocol import VERSION, Hello, Load, Loaded, LoadFailed, Probe, ProtocolError, Stop

EXIT_USAGE = 64


def main(make_backend: Callable[[], Backend]) -> int:
    """Runs the mode that the command line names; the exit code.

    Ends at once, without ceremony, when the host's end of stdin closes.
    """
    modes = {"serve": serve, "probe": probe}
    mode = modes.get(sys.argv[1]) if len(sys.argv) == 2 else None
    if mode is None:
        print(f"usage: {sys.argv[0]} {'|'.join(modes)}", file=sys.stderr)
        return EXIT_USAGE
    limit_memory()
    wire = Wire()
    try:
        backend = make_backend()
        wire.send([Hello(protocol=VERSION, pid=os.getpid(), runtime=backend.name, library=backend.library)])
        return mode(backend, wire)
    except HostGone:
        return 0
    except ProtocolError as error:
        print(f"The host broke the protocol: {error}", file=sys.stderr)
        return EXIT_PROTOCOL


def serve(backend: Backend, wire: Wire) -> int:
    """Loads the model that the host names and serves it until the host says stop; the exit code."""
    command = wire.next()
    if not isinstance(command, Load):
        raise ProtocolError(f"the first command was {type(command).__name__}, not Load")
    facts = load(backend, wire, command)
    if facts is None:
        return 1
    if backend.encoder is not None:
        wire.stop_by_loop()
        wire.send([Loaded(facts=facts)])
        return serve_commands(wire, Encodings(backend.encoder, wire, facts))
    preparer = Preparer(backend, facts)
    facts = msgspec.structs.replace(facts, tools=preparer.tools, notices=(*facts.notices, *preparer.notices))
    wire.stop_by_loop()
    wire.send([Loaded(facts=facts)])
    return serve_commands(wire, Loop(backend, wire, preparer))


def probe(backend: Backend, wire: Wire) -> int:
    """Answers one `Probe` and ends; a failure is a `LoadFailed`; the exit code."""
    command = wire.next()
    if isinstance(command, Stop):
        return 0
    if not isinstance(command, Probe):
        raise ProtocolError(f"the first command was {type(command).__name__}, not Probe")
    try:
        wire.send([backend.probe(command.path, command.options)])
    except FootplateError as error:
        wire.send([LoadFailed(error=error.info)])
        return 1
    except Exception as error:  # noqa: BLE001 - whatever a runtime raises is what the probe was to find out
        traceback.print_exc()
        wire.send([LoadFailed(error=InternalError(f"The probe failed ({type(error).__name__}): {error}").info)])
        return 1
    return 0
