"""CPU time of a default search, beside the code of an older commit, in interleaved pairs.

    python -m tests.benchmarks.overhead [--base edaa239] [--pairs 5] [--trials N] [--dry]

The latency table is cached beforehand, so that both search and train, and time little else. Which side goes first
alternates. The repeat error is the largest difference of one side's halves, even against odd pairs, from their mean.
Takes about five minutes a pair on two quiet cores.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks._common import record
from tests.benchmarks.unchanged import BASE, ROOT, export


def main() -> None:
    """Run, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=BASE, help="commit to compare with (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--trials", type=int, help="fewer than by default, to be quicker")
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    arguments = parser.parse_args()
    words = ["--trials", str(arguments.trials)] if arguments.trials else []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sides = {"before": export(arguments.base, folder / "code"), "today": ROOT}
        cpu_s(sides["before"], folder, ["--trials", "2", "--finalists", "1", "--final-epochs", "1"])  # fills the cache
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for pair in range(arguments.pairs):
            for name in list(sides)[:: 1 if pair % 2 else -1]:
                seconds[name].append(cpu_s(sides[name], folder, words))
            print(f"pair {pair + 1}: " + ", ".join(f"{k} {v[-1]:.1f} s" for k, v in seconds.items()), flush=True)
    ratios = np.divide(seconds["today"], seconds["before"])
    lines = [
        f"`edgenas search --budget-ms 20{' ' * bool(words)}{' '.join(words)}`, cached table; {arguments.pairs} pairs; "
        f"CPU seconds, median: before ({arguments.base}) {np.median(seconds['before']):.1f}, "
        f"today {np.median(seconds['today']):.1f}",
        "",
        f"median ratio {np.median(ratios):.3f} (pairs {', '.join(f'{ratio:.3f}' for ratio in ratios)}); "
        f"repeat error {max(map(repeat_error, seconds.values())):.1%}",
    ]
    print("\n".join(lines)) if arguments.dry else record("CPU time of a search beside an older commit", lines)


def cpu_s(code: Path, folder: Path, words: list[str]) -> float:
    """CPU seconds of one search by the code in a folder, its processes included."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    environment = os.environ | {"PYTHONPATH": str(code), "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "edgenas", "search", "--budget-ms", "20", "--output", str(run), "--quiet", *words]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def repeat_error(seconds: list[float]) -> float:
    """How far the even and the odd pairs' mean are apart, half of it, as a share; 0 of a single pair."""
    halves = [float(np.mean(seconds[start::2])) for start in (0, 1) if seconds[start::2]]
    return (max(halves) - min(halves)) / (max(halves) + min(halves))


if __name__ == "__main__":
    main()
