"""The same search on a quiet machine, and beside two busy loops, one a core: does it deliver, and how much later?

    python -m tests.benchmarks.busy --data FOLDER --output FOLDER [--images 400] [--budget-ms 1.6] [--digits] [--dry]
        [-- MORE FLAGS]

`--data` is a folder of photos, a folder a class, or with such folders under `train`; links to a part of them are
searched on, from the trained EfficientNet-Lite0 at 96 pixels. `--digits` searches on digits instead, as small as it
can be, to try this script. Every search begins with an empty cache, so that each profiles the machine. What follows
`--` goes to `edgenas search`, and wins. Start it on a machine on which nothing else runs; about fifteen minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgenas.workflows.result import Result
from tests.benchmarks._common import record, result_of

MOST_RATIO = 4.0  # of the quiet time, by the issue
PHOTOS = "--pretrained efficientnet-lite0 --image-size 96 --trials 24 --finalists 1 --final-epochs 3"
DIGITS = "--data digits --trials 6 --finalists 1 --supernet-epochs 2 --final-epochs 1 --shape-choices 1"
LOOP = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


@dataclass(frozen=True)
class Run:
    """One search: how long it took, its exit code, what it delivered, and what it said of the machine."""

    name: str
    seconds: float
    code: int
    result: Result | None
    said: list[str]

    def row(self) -> str:
        """The run as a line of a table."""
        if self.result is None:
            return f"| {self.name} | {self.seconds:.0f} | {self.code} | no model | | | |"
        found = self.result
        ms = "" if found.measured_ms is None else f"{found.measured_ms:.3f} ± {100 * (found.repeat_error or 0):.1f} %"
        cells = self.name, f"{self.seconds:.0f}", self.code, f"{found.test_accuracy:.1%}", ms
        return "| " + " | ".join(map(str, (*cells, found.met_budget, found.measurement))) + " |"


def main() -> None:
    """Search twice, and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--budget-ms", type=float, help="default: 1.6, with --digits 0.3")
    parser.add_argument("--digits", action="store_true")
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    parser.add_argument("more", nargs="*", help="flags of `edgenas search`, after `--`")
    arguments = parser.parse_args()
    if not arguments.digits and arguments.data is None:
        parser.error("--data: name a folder of photos, or take --digits")
    flags = DIGITS.split()
    if not arguments.digits:
        photos = arguments.output / "photos"
        count = link_photos(arguments.data, photos, arguments.images)
        print(f"{count} photos", flush=True)
        flags = ["--data", str(photos), *PHOTOS.split()]
    budget_ms = arguments.budget_ms or (0.3 if arguments.digits else 1.6)
    flags += ["--budget-ms", str(budget_ms), *arguments.more]
    quiet = search("quiet", arguments.output, flags)
    with busy_loops():
        busy = search("two busy loops", arguments.output, flags)
    ratio = busy.seconds / quiet.seconds
    lines = [
        "| machine | seconds | exit | test accuracy | measured ms | met_budget | measurement |",
        "|---|---|---|---|---|---|---|",
        *(run.row() for run in (quiet, busy)),
        "",
        f"{ratio:.2f} times the quiet time, at most {MOST_RATIO:g} is asked for; "
        f"{'a model was' if busy.result else 'no model was'} delivered beside the loops.",
        *(f"- {line}" for line in busy.said),
    ]
    print("\n".join(lines)) if arguments.dry else record("A search on a busy machine", lines)
    sys.exit(0 if busy.result and busy.code == 0 and ratio <= MOST_RATIO else 1)


def link_photos(source: Path, target: Path, count: int) -> int:
    """Link about `count` photos, equally many of each class; return how many there are."""
    root = source / "train" if (source / "train").is_dir() else source
    classes = sorted(path for path in root.iterdir() if path.is_dir())
    shutil.rmtree(target, ignore_errors=True)
    for folder in classes:
        (target / folder.name).mkdir(parents=True)
        for photo in sorted(folder.iterdir())[: count // len(classes)]:
            (target / folder.name / photo.name).symlink_to(photo.resolve())
    return sum(1 for _ in target.glob("*/*"))


def search(name: str, output: Path, flags: Sequence[str]) -> Run:
    """Search in a process of its own, with an empty cache."""
    folder = output / name.replace(" ", "-")
    for path in (folder, output / "cache"):
        shutil.rmtree(path, ignore_errors=True)
    command = [sys.executable, "-m", "edgenas", "search", *flags, "--output", str(folder)]
    started = time.monotonic()
    done = subprocess.run(
        command, env=os.environ | {"XDG_CACHE_HOME": str(output / "cache")}, stderr=subprocess.PIPE, text=True
    )
    seconds = time.monotonic() - started
    print(done.stderr, flush=True)
    said = [line for line in done.stderr.splitlines() if line.startswith(("the machine", "edgenas:"))]
    return Run(name, seconds, done.returncode, result_of(folder), said)


@contextmanager
def busy_loops() -> Iterator[None]:
    """Keep every core busy, each by a loop of its own, while inside."""
    loops = [subprocess.Popen([sys.executable, "-c", LOOP, str(core)]) for core in sorted(os.sched_getaffinity(0))]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    main()
