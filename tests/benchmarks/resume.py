"""Kill runs of six kinds with SIGKILL, again and again, resume them, and compare each with a run that nobody killed.

    python -m tests.benchmarks.resume --output DIR [--kinds random evolution ...] [--seeds 0 1] [--dry]

Each run is killed nine times before it may end: in every stage that it goes through, at a moment drawn within it, and
once while a checkpoint is written. All that it leaves must be equal but times: the trials, the result, the files. The
budget is for a device whose table comes with edgenas, so that nothing is measured; no two measurements are equal.
About twenty minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgenas.errors import EdgeNASError
from edgenas.system import checkpoint
from tests.benchmarks._common import record

KILLS = 9
BUDGET_MS, SEARCH = 2.0, "--device amd-epyc-zen4 --finalists 2 --final-epochs 3 --no-int8 --prune"
KINDS = {
    "random": "--strategy random --trials 32 --supernet-epochs 3",
    "evolution": "--strategy evolution --trials 32 --batch 8 --supernet-epochs 3",
    "darts": "--space nasbench201 --strategy darts --trials 8 --search-epochs 2",
    "tunas": "--strategy tunas --trials 16 --search-epochs 3",
    "workers": "--strategy evolution --evaluator scratch --workers 2 --trials 6 --batch 2 --scratch-epochs 1",
    "specialize": "",
}
# What times stand in, of which the rest is compared; and what guards or doubles other files.
TIMED = ("seconds", "created", "run", "bundle")
GUARDED = (".previous", ".lock", "-plan.json", "-memory.json")
UNEQUAL = ("seconds.json", "files.json", "search.pt", "config.toml", "source.json", "origin.json")


@dataclass(frozen=True)
class Kill:
    """Where a process was killed."""

    stage: str
    in_write: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    arguments = parser.parse_args()
    lines = ["| run | seed | killed | in | in a checkpoint's write | equals the run that nobody killed |"]
    lines += ["|---|---|---|---|---|---|"]
    total = 0
    for kind in arguments.kinds:
        for seed in arguments.seeds:
            kills, different = compare(kind, seed, arguments.output)
            total += len(kills)
            stages = ", ".join(f"{stage} {times}" for stage, times in Counter(k.stage for k in kills).items())
            writes = sum(kill.in_write for kill in kills)
            verdict = "yes" if not different else f"NO: {', '.join(different)}"
            lines.append(f"| {kind} | {seed} | {len(kills)} | {stages} | {writes} | {verdict} |")
            print(lines[-1], flush=True)
    lines += ["", f"{total} times killed"]
    print("\n".join(lines)) if arguments.dry else record("Killed and resumed", lines)


def compare(kind: str, seed: int, output: Path) -> tuple[list[Kill], list[str]]:
    """Make a run and one that is killed; return the kills, and what differs."""
    folder = output / f"{kind}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = folder / "source"
    if kind == "specialize":
        _end(_command("random", seed, source), source)
    whole, killed = folder / "whole", folder / "killed"
    stages = _end(_command(kind, seed, whole, source), whole)
    kills = _killed(_command(kind, seed, killed, source), killed, stages, random.Random(seed))
    expected, found = contents(whole), contents(killed)
    return kills, sorted(name for name in expected | found if expected.get(name) != found.get(name))


def _command(kind: str, seed: int, run: Path, source: Path | None = None) -> list[str]:
    words = ["specialize", str(source), "--budget-ms", str(BUDGET_MS / 2)] if kind == "specialize" else ["search"]
    if kind != "specialize":
        words += ["--budget-ms", str(BUDGET_MS), "--seed", str(seed), *SEARCH.split(), *KINDS[kind].split()]
    return [sys.executable, "-m", "edgenas", *words, "--output", str(run)]


def _end(command: list[str], run: Path) -> dict[str, float]:
    """Run to the end; return how many seconds each stage took."""
    process, lines = _start(command)
    began: dict[str, float] = {}
    started = time.monotonic()
    while (line := lines.get()) is not None:
        if line.endswith(" ..."):
            began[_stage(line)] = time.monotonic() - started
    if process.wait() or not (run / "result.json").exists():
        raise SystemExit(f"{run}: {' '.join(command)} failed")
    ends = [*list(began.values())[1:], time.monotonic() - started]
    return {stage: end - begin for (stage, begin), end in zip(began.items(), ends, strict=True)}


def _killed(command: list[str], run: Path, stages: dict[str, float], rng: random.Random) -> list[Kill]:
    """Kill and resume a run in each of its stages, then let it end."""
    places = sorted(rng.choices(range(len(stages)), k=max(0, KILLS - len(stages))) + list(range(len(stages))))
    kills: list[Kill] = []
    names = list(stages)
    for number, place in enumerate(places):
        in_write = number == len(places) // 2
        kill = _kill(_resumed(command, run), run, names[place:], rng.random() * stages[names[place]], in_write)
        if kill is None:  # it came to its end before
            break
        kills.append(kill)
    if not (run / "result.json").exists():
        _end(_resumed(command, run), run)
    return kills


def _resumed(command: list[str], run: Path) -> list[str]:
    """Return the command that goes on with a run; of one that was killed before it was there, that which begins it."""
    begun = (run / "config.toml").exists()
    return [*command[:4], "--output", str(run), "--resume"] if begun else command


def _kill(command: list[str], run: Path, stages: list[str], delay_s: float, in_write: bool) -> Kill | None:
    """Kill a process so long after it has begun one of these stages; or once it writes a checkpoint then."""
    process, lines = _start(command)
    stage = ""
    while (line := lines.get()) is not None:
        if line.endswith(" ...") and (stage := _stage(line)) in stages:
            break
    began, written = time.monotonic(), False
    while process.poll() is None:
        written = in_write and any(run.glob("*.pt.new"))
        if written or (time.monotonic() - began >= delay_s and not in_write):
            break
        time.sleep(0.0002 if in_write else 0.01)
    while not lines.empty():  # the stage that it is in now
        if (line := lines.get()) is not None and line.endswith(" ..."):
            stage = _stage(line)
    if process.poll() is not None:
        return None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return Kill(stage, written)


def _start(command: list[str]) -> tuple[subprocess.Popen[str], queue.Queue[str | None]]:
    """Start a process; the lines of its progress arrive in the queue, and None at their end."""
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return process, lines


def _stage(line: str) -> str:
    return line.removesuffix(" ...")


def contents(run: Path) -> dict[str, Any]:
    """What must be equal of a run: its files by hash, those with times in them without these."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if not path.is_file() or name in UNEQUAL or name.endswith(GUARDED):
            continue
        if name == "trials.jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = [{k: v for k, v in row.items() if k not in ("seconds", "crc32")} for row in rows]
        elif name in ("result.json", "report.json", "manifest.json"):
            found[name] = {k: v for k, v in json.loads(path.read_text()).items() if k not in (*TIMED, "sha256")}
        else:
            found[name] = hashlib.sha256(_content(path)).hexdigest()
    return found


def _content(path: Path) -> bytes:
    """The bytes of a file; of a checkpoint what is in it, as pickle writes equal objects in several ways."""
    if path.suffix == ".pt":
        with suppress(EdgeNASError):  # a damaged one is compared as it is
            return repr(_plain(checkpoint.load(path))).encode()
    return path.read_bytes()


def _plain(value: Any) -> Any:
    """A checkpoint without tensors, of which their bytes count."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), hashlib.sha256(repr(value.tolist()).encode()).hexdigest()  # exact, of any layout
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    main()
