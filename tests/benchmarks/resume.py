"""Kill a search with SIGKILL in each long stage, resume it, and compare with a run that nobody killed.

    python -m tests.benchmarks.resume --output runs/resume

Everything but what was measured must be equal. About nine minutes on 2 cores. The budget does not bind: else measured
latencies would decide which finalists are trained, and no two measurements are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks._common import record

COMMAND = (
    "search --budget-ms 5 --shape-choices 1 --trials 48 --supernet-epochs 15 --finalists 2 --final-epochs 6 --no-int8 "
    "--quiet"
).split()
PROFILE = ("bounds.json", "table-spread.csv", "narrow.json", "table.csv")
MEASURED = {"measured_ms", "measured_p90_ms", "repeat_error", "largest_ms", "smallest_ms", "seconds"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    folder = parser.parse_args().output
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}  # one latency table for all runs
    whole = _finish(folder / "whole", environment)
    moments: dict[str, Callable[[Path], bool]] = {
        "supernet": lambda run: (run / "supernet.pt").exists(),  # its first checkpoint, after 45 s
        "search": lambda run: _lines(run / "trials.jsonl") >= 16,
        "finalist": lambda run: (run / "finalists.json").exists(),
    }
    lines = ["| killed in | killed after s | resumed equals uninterrupted |", "|---|---|---|"]
    for stage, reached in moments.items():
        run = folder / stage
        _seed(run, folder / "whole")
        after_s = _kill_when(run, environment, reached)
        resumed = _finish(run, environment, "--resume")
        different = sorted(k for k in whole if k not in MEASURED and whole[k] != resumed[k])
        same_trials = _trials(run) == _trials(folder / "whole")
        verdict = "yes" if not different and same_trials else f"NO: {', '.join(different) or 'trials'}"
        lines.append(f"| {stage} | {after_s:.0f} | {verdict} |")
    record("Killed and resumed", lines)


def _seed(run: Path, whole: Path) -> None:
    """The same measured latencies: a run folder that has its profile already."""
    run.mkdir(parents=True, exist_ok=True)
    for name in PROFILE:
        shutil.copyfile(whole / name, run / name)


def _finish(run: Path, environment: dict[str, str], *more: str) -> dict[str, object]:
    """Run to the end; the result."""
    if not (run / "result.json").exists():
        subprocess.run(_command(run, *more), env=environment, check=True, stdout=subprocess.DEVNULL)
    return dict(json.loads((run / "result.json").read_text()))


def _kill_when(run: Path, environment: dict[str, str], reached: Callable[[Path], bool]) -> float:
    """Start, wait for the moment and 3 s more, SIGKILL the process group."""
    started = time.monotonic()
    process = subprocess.Popen(_command(run), env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    while not reached(run):
        if process.poll() is not None:
            raise SystemExit(f"{run.name}: the run ended before it could be killed")
        time.sleep(0.05)
    time.sleep(3.0)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if (run / "result.json").exists():
        raise SystemExit(f"{run.name}: killed too late")
    return time.monotonic() - started


def _command(run: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "edgenas", *COMMAND, "--output", str(run), *more]


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _trials(run: Path) -> list[dict[str, object]]:
    """Trials without the time they took."""
    rows = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


if __name__ == "__main__":
    main()
