"""One process and two of torchrun: the same samples, losses and genotype; and a search killed in one process, resumed.

    python -m tests.benchmarks.ranks --output runs/ranks [--space NAME] [--strategy darts] [--epochs N]

On digits, with the shipped table of a device, so that nothing is timed. Of every training loop the largest difference
of its losses over at least 50 steps, and whether its weights and its genotype are equal, to the last bit. Of whole
searches all that was not measured: by one process, by two, and by two of which one is killed, resumed by two or one.
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
from pathlib import Path

from edgenas.cli import main as cli
from edgenas.data import digits
from edgenas.spaces.build import build_space
from edgenas.training.settings import Settings
from tests.benchmarks._common import record
from tests.benchmarks.resume import contents
from tests.training.trainings import Task, write

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
ALONE = [sys.executable]
LEAST_STEPS, LARGEST = 50, 1e-5
BATCH, GHOST = 64, 16
MEASURED = {"measured_ms", "measured_p90_ms", "repeat_error", "largest_ms", "smallest_ms"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--space", default="tests.benchmarks._small")
    parser.add_argument("--strategy", default="darts")
    parser.add_argument("--device", default="amd-epyc-zen4")
    parser.add_argument("--budget-ms", default="1")
    parser.add_argument("--epochs", type=int, default=4, help="of the search")
    parser.add_argument("--only", choices=("losses", "searches"))
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # of every process: more sum in another order
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.only != "searches":
        _losses(arguments.output, arguments.space)
    if arguments.only != "losses":
        _searches(arguments)


def _losses(folder: Path, space: str) -> None:
    found = []
    for name, start in (("one", ALONE), ("two", LAUNCHER)):
        out = folder / f"{name}.json"
        subprocess.run([*start, "-m", "tests.benchmarks.ranks", "worker", space, str(out)], check=True)
        found.append(json.loads(out.read_text()))
    one, two = found
    lines = [
        "| training | steps | largest difference of losses | same weights | same genotype |",
        "|---|---|---|---|---|",
    ]
    for name in (name for name in one if name != "world"):
        a, b = one[name], two[name]
        difference = max(abs(x - y) for x, y in zip(a["losses"], b["losses"], strict=True))
        holds = len(a["losses"]) >= LEAST_STEPS and difference <= LARGEST
        genotype = _yes(a["arch"] == b["arch"]) if "arch" in a else ""
        lines.append(
            f"| {name} | {len(a['losses'])} | {difference:.2g}{'' if holds else ' NO'} | "
            f"{_yes(a['weights'] == b['weights'])} | {genotype} |"
        )
    record(f"One process and two, {space}", lines)


def _worker(arguments: list[str]) -> int:
    """Train on digits, in as many processes as there are."""
    space, out = arguments
    data = digits.build(
        root=None, seed=0, image_size=None, validation_share=0.1, download=False, strict=False, device="cpu"
    )
    built = build_space(space, data.shape, len(data.classes))
    built = built.restrict({built.choices[i].name: [0] for i in built.static_indices})
    epochs = -(-LEAST_STEPS // (len(data.train) // BATCH))
    write(Task(built, data.train, Settings(epochs, batch_size=BATCH, ghost_batch=GHOST)), Path(out))
    return 0


def _searches(arguments: argparse.Namespace) -> None:
    command = [
        *("-m", "edgenas", "search", "--data", "digits", "--space", arguments.space, "--strategy", arguments.strategy),
        *("--device", arguments.device, "--budget-ms", arguments.budget_ms, "--search-epochs", str(arguments.epochs)),
        *("--trials", "4", "--final-epochs", "2", "--finalists", "1", "--no-int8"),
        *("--ghost-batch", str(GHOST), "--quiet"),
    ]
    runs = {name: arguments.output / name for name in ("by one", "by two", "killed")}
    for run in runs.values():
        shutil.rmtree(run, ignore_errors=True)
    _run([*ALONE, *command, "--output", str(runs["by one"])])
    _run([*LAUNCHER, *command, "--output", str(runs["by two"])])
    _kill_one([*LAUNCHER, *command, "--output", str(runs["killed"])], runs["killed"])
    runs["killed, resumed by one"] = arguments.output / "killed copy"
    shutil.rmtree(runs["killed, resumed by one"], ignore_errors=True)
    shutil.copytree(runs["killed"], runs["killed, resumed by one"])
    runs["killed, resumed by two"] = runs.pop("killed")
    _run([*ALONE, *command, "--output", str(runs["killed, resumed by one"]), "--resume"])
    _run([*LAUNCHER, *command, "--output", str(runs["killed, resumed by two"]), "--resume"])
    whole = runs.pop("by one")
    lines = ["| search | equals that by one process |", "|---|---|"]
    for name, run in runs.items():
        different = _different(whole, run)
        lines.append(f"| {name} | {'yes' if not different else 'NO: ' + ', '.join(different)} |")
    record(f"Searches by one process and by two, {arguments.space}, {arguments.strategy}", lines)


def _different(one: Path, other: Path) -> list[str]:
    """Fields of the result that differ, but for what was measured; and `trials`, if these do."""
    a, b = (contents(run) for run in (one, other))
    fields = [key for key, value in a["result.json"].items() if key not in MEASURED and value != b["result.json"][key]]
    return sorted(fields) + ["trials"] * (a["trials.jsonl"] != b["trials.jsonl"])


def _kill_one(command: list[str], run: Path) -> None:
    """Start two processes, wait for the first trial, SIGKILL the one that holds the lock; the other must end too."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not ((run / "trials.jsonl").exists() and (run / "trials.jsonl").stat().st_size):
        if process.poll() is not None:
            raise SystemExit("the run ended before it could be killed")
        time.sleep(0.05)
    os.kill(json.loads((run / "run.lock").read_text())["pid"], signal.SIGKILL)
    if process.wait(timeout=120) == 0 or (run / "result.json").exists():
        raise SystemExit("killed too late")


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _yes(same: bool) -> str:
    return "yes" if same else "NO"


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        cli._run = lambda words: _worker(words[1:])  # type: ignore[assignment]  # processes, messages, exit codes
        raise SystemExit(cli.main())
    main()
