"""How long a person waits before edgenas begins: help, a prediction, an import.

    python -m tests.benchmarks.startup [--runs 11]

CPU time is what the code is answerable for: on a busy machine the clock also counts what runs beside it.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from tests.benchmarks._common import record

RUNS = 11  # odd, so that the median is one of them
COMMANDS = {
    "python, nothing else": ("-c", "pass"),
    "import edgenas": ("-c", "import edgenas"),
    "edgenas --help": ("-m", "edgenas", "--help"),
    "edgenas search --help": ("-m", "edgenas", "search", "--help"),
    "edgenas list": ("-m", "edgenas", "list"),
    "edgenas predict --samples 5 --device amd-epyc-zen4": (
        *("-m", "edgenas", "predict"),
        *("--samples", "5", "--device", "amd-epyc-zen4"),
    ),
}


def timed(words: Sequence[str]) -> tuple[float, float]:
    """CPU time of one call of this Python, user and system, and its time on the clock, in seconds."""
    started, before = time.monotonic(), _cpu()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return _cpu() - before, time.monotonic() - started


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help="calls of each command (default: 11)")
    runs = parser.parse_args().runs
    for words in COMMANDS.values():
        timed(words)  # reads the files from disk, compiles what has changed
    lines = ["| command | CPU s, median | wall s, median |", "|---|---|---|"]
    for name, words in COMMANDS.items():
        cpu, wall = zip(*(timed(words) for _ in range(runs)), strict=True)
        lines.append(f"| {name} | {statistics.median(cpu):.3f} | {statistics.median(wall):.3f} |")
    record("Time to begin", lines)


if __name__ == "__main__":
    main()
