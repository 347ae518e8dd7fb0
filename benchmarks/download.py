"""How fast `footplate pull` fetches a large file, beside `hf download`, from the same stand-in Hub on loopback.

Both fetch the same random file over plain HTTP into fresh folders on the same disk, in interleaved rounds; the time is
that of the whole command. Footplate's host runs before, as it does in use, and verifies what it fetches; `hf download`
checks the size alone.

    python benchmarks/download.py [--megabytes 1000] [--rounds 5] [--output benchmarks/results/download.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fixtures.hub import Hub

NAME = "m-Q4_0.gguf"


def main() -> None:
    options = read_options()
    folder = Path(tempfile.mkdtemp(prefix="fp-"))
    times: dict[str, list[float]] = {"footplate": [], "hf": []}
    with Hub() as hub:
        hub.repos["me/x"] = {NAME: os.urandom(options.megabytes * 1_000_000)}
        environ = {**os.environ, "HF_ENDPOINT": hub.address, "FOOTPLATE_HOME": str(folder), "HF_HUB_DISABLE_XET": "1"}
        host = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.host", "--serve", "--port", "0"], env=environ, stdout=subprocess.PIPE
        )
        try:
            assert host.stdout is not None
            host.stdout.readline()
            measure([sys.executable, "-P", "-m", "tui", "pull", "me/x"], environ, folder / "models")
            for _ in range(options.rounds):
                pull = [sys.executable, "-P", "-m", "tui", "pull", "me/x"]
                times["footplate"].append(measure(pull, environ, folder / "models"))
                hf = str(Path(sys.executable).with_name("hf"))
                command = [hf, "download", "me/x", NAME, "--local-dir", str(folder / "hf")]
                times["hf"].append(measure(command, environ, folder / "hf"))
        finally:
            host.terminate()
            host.wait()
    shutil.rmtree(folder)
    report(options, times)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def measure(command: list[str], environ: dict[str, str], folder: Path) -> float:
    """Seconds that a download takes; what came is removed."""
    os.sync()
    begun = time.perf_counter()
    subprocess.run(command, env=environ, check=True, capture_output=True)
    took = time.perf_counter() - begun
    found = [path for path in folder.rglob(NAME) if path.is_file()]
    assert len(found) == 1, found
    shutil.rmtree(folder)
    return took


def report(options: argparse.Namespace, times: dict[str, list[float]]) -> None:
    rates = {name: [options.megabytes / took for took in taken] for name, taken in times.items()}
    medians = {name: statistics.median(values) for name, values in rates.items()}
    result = {
        "megabytes": options.megabytes,
        "mb_s": rates,
        "median_mb_s": medians,
        "ratio": medians["footplate"] / medians["hf"],
        "goal": 0.95,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
