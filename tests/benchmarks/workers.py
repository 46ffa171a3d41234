"""Scratch trials on two local workers of Ray's against one: throughput, and the history when processes are killed.

    python -m tests.benchmarks.workers [--dry]

Each trial is a short training on the digits with one thread. For the throughput both sides evaluate the same
architectures, a batch at a time, each side first in turn; bar: 1.6 times. Then three searches by evolution, whose
history depends on every score: one that nobody disturbs, with one worker; one of two workers, of which one is killed in
the middle of a trial; one of two workers whose driver is killed, which is then resumed. Four minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgenas.cost.memory import PeakBytes
from edgenas.evaluators.scratch import ScratchEvaluator
from edgenas.exploration.driver import Map, run_search
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Outcome, Problem
from edgenas.exploration.study import Study, read_trials
from edgenas.exploration.trial import Trial
from edgenas.exploration.workers import trial_map
from edgenas.graph.graph import Arch
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from edgenas.strategies.evolution import Evolution
from edgenas.system import checkpoint, plugins
from edgenas.system.threads import configure_threads
from edgenas.training.settings import Settings
from tests.benchmarks._common import record

ROUNDS, BATCH = 4, 8
TRIALS, SEARCH_BATCH = 16, 4
BAR = 1.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)  # one search, as a process to be killed
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    configure_threads()
    if arguments.search:
        _search(arguments.search, arguments.workers)
        return
    lines = [*_throughput(), "", *_killed()]
    if arguments.dry:
        print("\n".join(lines))
    else:
        record("Two workers against one", lines)


def _problem() -> Problem:
    """Digits, one epoch a trial; the budget leaves out what needs more than half of the largest network's memory."""
    data = plugins.load("data", "digits").build(
        root=None, seed=0, image_size=None, validation_share=0.2, download=False, strict=False, device="cpu"
    )
    space = build_space("mbconv", data.shape, len(data.classes))
    peak = PeakBytes()
    largest = peak(space.graph(tuple(options[-1] for options in space.allowed)))
    evaluator = ScratchEvaluator(space, data, Settings(epochs=1, batch_size=64), "cpu", 0)
    return Problem(space, (peak,), Objective({peak.metric: largest / 2}), evaluator)


def _throughput() -> list[str]:
    problem, rng = _problem(), np.random.default_rng(0)
    drawn = [sample(problem.space, rng) for _ in range(8 * (ROUNDS + 1) * BATCH)]
    archs = [arch for arch, fits in zip(drawn, problem.feasible(drawn), strict=True) if fits]
    with trial_map(2, None, print) as two:
        assert two is not map, "two workers need two cores"
        list(two(problem.attempt, archs[-BATCH:]))  # their processes import torch
        seconds: dict[str, list[float]] = {"one": [], "two": []}
        same = True
        for i in range(ROUNDS):
            batch = archs[i * BATCH : (i + 1) * BATCH]
            sides: list[tuple[str, Map]] = [("one", map), ("two", two)]
            scores = {}
            for name, map_ in sides if i % 2 else sides[::-1]:
                took_s, scores[name] = _timed(map_, problem.attempt, batch)
                seconds[name].append(took_s)
            same = same and scores["one"] == scores["two"]
    ratios = np.array(seconds["one"]) / np.array(seconds["two"])
    ratio = sum(seconds["one"]) / sum(seconds["two"])
    return [
        f"{ROUNDS} rounds of the same {BATCH} scratch trials: one worker {_pace(seconds['one'])} trials a minute, "
        f"two {_pace(seconds['two'])}: {ratio:.2f} times, {ratios.min():.2f} to {ratios.max():.2f} by round "
        f"(bar: {BAR}: {_verdict(ratio >= BAR)}); same scores bit for bit: {_verdict(same)}"
    ]


def _timed(map_: Map, attempt: Callable[[Arch], Outcome], archs: list[Arch]) -> tuple[float, list[dict[str, float]]]:
    """Seconds and scores of a batch."""
    begun = time.monotonic()
    outcomes = list(map_(attempt, archs))
    failed = [outcome.error for outcome in outcomes if outcome.error]
    if failed:
        raise SystemExit(f"a trial failed: {failed[0]}")
    return time.monotonic() - begun, [dict(outcome.metrics) for outcome in outcomes]


def _pace(seconds: list[float]) -> str:
    return f"{60 * BATCH * len(seconds) / sum(seconds):.1f}"


def _search(folder: Path, workers: int) -> None:
    """A search that keeps a checkpoint after each batch, or goes on from it."""
    problem = _problem()
    strategy = Evolution(problem, np.random.default_rng(0), population_size=6, tournament_size=3)
    study = Study(folder, problem.objective, checkpoint.save, checkpoint.load, every_s=0.0)
    study.restore(strategy)
    with trial_map(workers, None, print) as map_:
        run_search(problem, strategy, study, max_trials=TRIALS, batch=SEARCH_BATCH, map_=map_)


def _killed() -> list[str]:
    with tempfile.TemporaryDirectory() as place:
        whole, worker, driver = (Path(place) / name for name in ("whole", "worker", "driver"))
        _start(whole, 1).wait()
        running = _start(worker, 2)
        tries_at = _wait(worker, running, SEARCH_BATCH + 1)
        os.kill(_busy_worker(running.pid), signal.SIGKILL)
        running.wait()
        running = _start(driver, 2)
        driver_at = _wait(driver, running, 2 * SEARCH_BATCH + 1)
        running.kill()
        running.wait()
        _start(driver, 2).wait()
        expected = _history(whole)
        lines = ["| two workers | killed after trials | trials | failed | history equals that of one worker |"]
        lines.append("|---|---|---|---|---|")
        for name, folder, at in (
            ("a worker killed", worker, tries_at),
            ("the driver killed, resumed", driver, driver_at),
        ):
            found = _history(folder)
            failed = sum(trial.error is not None for trial in found)
            lines.append(f"| {name} | {at} | {len(found)} | {failed} | {_verdict(found == expected)} |")
    return lines


def _start(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.benchmarks.workers", "--search", str(folder), "--workers", str(workers)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _wait(folder: Path, running: subprocess.Popen[bytes], trials: int) -> int:
    """Until so many trials are there, and half a second into the next; how many there are then."""
    while not (folder / "trials.jsonl").exists() or len(read_trials(folder)) < trials:
        if running.poll() is not None:
            raise SystemExit("the search ended before anything could be killed")
        time.sleep(0.02)
    time.sleep(0.5)
    return len(read_trials(folder))


def _busy_worker(driver: int) -> int:
    """A process in which Ray runs a trial for this driver, whose child the raylet is, whose child it is in turn."""
    while True:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                title, parent = (entry / "cmdline").read_bytes(), _parent(entry)
                if title.startswith(b"ray::_attempt") and _parent(Path(f"/proc/{parent}")) == driver:
                    return int(entry.name)
            except OSError:  # gone meanwhile
                continue
        time.sleep(0.02)


def _parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def _history(folder: Path) -> list[Trial]:
    """Trials without the time they took."""
    return [Trial(**{**vars(trial), "seconds": 0.0}) for trial in read_trials(folder)]


def _verdict(holds: bool) -> str:
    return "yes" if holds else "NO"


if __name__ == "__main__":
    main()
