"""Damage each file of a run's folder, one at a time, and resume the run: it must end equal, or name the file.

    python -m tests.benchmarks.damage --output DIR [--cases N] [--dry]

Of a finished run and of runs that were interrupted after 35, 60 and 90 % of their safe points, each file is cut in
half, changed by one bit, and deleted. What follows is right if the run ends with the trials, the result and the files
of one that nobody touched, or if it is refused with exit code 3 by a message that names the file. Runs are toys on a
device that is elsewhere, so that nothing is measured. About fifteen minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import random
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenas.errors import EdgeNASError, Interrupted
from edgenas.system import plugins
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.search import search
from tests._searched import TOY
from tests.benchmarks._common import record
from tests.benchmarks.resume import contents

SETTINGS = {**TOY, "int8": True, "finalists": 2}
SHARES = (0.35, 0.6, 0.9)  # of the safe points, after which runs are interrupted
FLIPPED = 2 / 3  # place of the byte whose last bit is changed


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flip(content: bytes) -> bytes:
    place = int(FLIPPED * len(content))
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes] | None] = {"cut": _cut, "bit": _flip, "deleted": None}


@dataclass(frozen=True)
class Case:
    """A file of a run's folder, and what is done to it."""

    run: Path
    file: Path
    damage: str

    def __str__(self) -> str:
        return f"{self.run.name}, {self.file}, {self.damage}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--cases", type=int, help="this many, drawn at random; by default all")
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    arguments = parser.parse_args()
    outcomes: Counter[tuple[str, str]] = Counter()
    wrong = []
    for case, outcome, problem in outcomes_of(arguments.output, arguments.cases):
        outcomes[case.run.name, outcome] += 1
        if problem:
            wrong.append(f"- {case}: {problem}")
            print(wrong[-1], flush=True)
    lines = ["| run | ended equal | named the file | neither |", "|---|---|---|---|"]
    for run in dict.fromkeys(run for run, _ in outcomes):
        lines.append(f"| {run} | " + " | ".join(str(outcomes[run, o]) for o in ("equal", "named", "wrong")) + " |")
    lines += ["", *wrong]
    print("\n".join(lines)) if arguments.dry else record("Files of a run, damaged", lines)


def outcomes_of(output: Path, count: int | None = None, seed: int = 0) -> Iterator[tuple[Case, str, str]]:
    """Yield cases with `equal`, `named` or `wrong`, and what is wrong.

    Args:
        output: folder for the runs.
        count: of cases that are drawn; None for all.
        seed: of the draw.
    """
    plugins.name_own("data", TOY["data"])
    plugins.name_own("spaces", TOY["space"])
    runs = _runs(output)
    cases = [Case(run, file, damage) for run in runs for file in _files(run) for damage in DAMAGES]
    if count is not None:
        cases = random.Random(seed).sample(cases, min(count, len(cases)))
    expected: dict[Path, dict[str, Any]] = {}
    for case in cases:
        if case.run not in expected:
            expected[case.run] = _resumed(case.run, output / "sound")
        outcome = _outcome(case, expected[case.run], output / "damaged")
        yield (case, outcome, "") if outcome in ("equal", "named") else (case, "wrong", outcome)


def _outcome(case: Case, expected: dict[str, Any], work: Path) -> str:
    """`equal`, `named`, or what is wrong."""
    content = (case.run / case.file).read_bytes()
    damage = DAMAGES[case.damage]

    def spoil(folder: Path) -> None:
        if damage is None:
            (folder / case.file).unlink()
        elif content:
            (folder / case.file).write_bytes(damage(content))

    try:
        found = _resumed(case.run, work, spoil)
    except EdgeNASError as error:
        if error.exit_code == 3 and case.file.name in str(error):
            return "named"
        return f"exit {error.exit_code}, {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    different = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    return f"other {', '.join(different)}" if different else "equal"


def _resumed(run: Path, work: Path, spoil: Callable[[Path], None] = lambda folder: None) -> dict[str, Any]:
    """What a copy of a run holds in the end."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(run, work)
    spoil(work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _search(work, resume=True)
    return contents(work)


def _runs(output: Path) -> list[Path]:
    """A finished run, and some that were interrupted."""
    finished = output / "finished"
    points = _Points()
    shutil.rmtree(finished, ignore_errors=True)
    _search(finished, stop=points)
    runs = [finished]
    for share in SHARES:
        run = output / f"interrupted at {share:.0%}"
        shutil.rmtree(run, ignore_errors=True)
        with suppress(Interrupted):
            _search(run, stop=_Points(int(share * points.passed)))
        runs.append(run)
    return runs


class _Points:
    """Counts the safe points of a run, and stops it after some."""

    def __init__(self, most: int | None = None) -> None:
        self.most, self.passed = most, 0

    def __call__(self) -> bool:
        self.passed += 1
        return self.most is not None and self.passed > self.most


def _search(run: Path, stop: Callable[[], bool] = lambda: False, **more: Any) -> None:
    search(make_config({**SETTINGS, "output": str(run), **more}), SilentReporter(), stop)


def _files(run: Path) -> list[Path]:
    return sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
